-- Takes tokens from all of the buckets named, or from none. Returns for each 0 if it has
-- what is wanted of it, otherwise the milliseconds until it will.
--
-- KEYS        the buckets, each named once
-- ARGV[1]     capacity, in tokens
-- ARGV[2]     refill, in tokens per second
-- ARGV[2 + n] how many are wanted of KEYS[n], at most the capacity; below 0, so many are given back
--
-- The arithmetic is that of token-bucket.lua, which says why; and why a bucket whose time is
-- in the future is written though nothing is taken of it.

local TOKEN = 1000000
local capacity = tonumber(ARGV[1]) * TOKEN
local refill = tonumber(ARGV[2])

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local ahead, left, waits, granted = {}, {}, {}, true
for index, key in ipairs(KEYS) do
  local tokens = capacity
  local bucket = redis.call('HMGET', key, 'tokens', 'at')
  if bucket[1] then
    local since = math.min(tonumber(bucket[2]), now)
    tokens = math.min(capacity, tonumber(bucket[1]) + (now - since) * refill)
  end
  ahead[index] = bucket[1] and tonumber(bucket[2]) > now and tokens
  tokens = tokens - tonumber(ARGV[2 + index]) * TOKEN
  left[index] = math.min(capacity, tokens)
  waits[index] = math.max(0, math.ceil(-tokens / refill / 1000))
  granted = granted and tokens >= 0
end

if granted then
  for index, key in ipairs(KEYS) do
    if left[index] == capacity then
      redis.call('DEL', key)
    else
      redis.call('HSET', key, 'tokens', string.format('%.0f', left[index]), 'at', string.format('%.0f', now))
      redis.call('PEXPIRE', key, math.ceil((capacity - left[index]) / refill / 1000))
    end
  end
else
  for index, key in ipairs(KEYS) do
    if ahead[index] and ahead[index] < capacity then
      redis.call('HSET', key, 'at', string.format('%.0f', now))
      redis.call('PEXPIRE', key, math.ceil((capacity - ahead[index]) / refill / 1000))
    end
  end
end
return waits
