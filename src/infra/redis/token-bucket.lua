-- Takes one token from each bucket named. Returns for each 0 if there was one,
-- otherwise the milliseconds until there will be.
--
-- KEYS     the buckets, a key each; one may be named several times
-- ARGV[1]  capacity, in tokens
-- ARGV[2]  refill, in tokens per second
--
-- Tokens are counted in millionths, as integers: a refill of r tokens a second is
-- then r millionths a microsecond, and nothing is ever rounded. All numbers stay
-- below 2^53. The same arithmetic is in local-token-bucket.ts.

local TOKEN = 1000000
local capacity = tonumber(ARGV[1]) * TOKEN
local refill = tonumber(ARGV[2])

-- The server's clock, so that API replicas need not agree on the time.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function take(key)
  -- A bucket without a key is full: it has expired, or was never used.
  local tokens, ahead = capacity, false
  local bucket = redis.call('HMGET', key, 'tokens', 'at')
  if bucket[1] then
    -- A time in the future means that the clock was set back: the bucket refills from now on.
    local since = math.min(tonumber(bucket[2]), now)
    tokens = math.min(capacity, tonumber(bucket[1]) + (now - since) * refill)
    ahead = tonumber(bucket[2]) > now
  end

  -- Asking an empty bucket writes nothing, so it costs replicas and the append-only file nothing;
  -- except after the clock was set back, once for each bucket.
  if tokens < TOKEN then
    if ahead then
      redis.call('HSET', key, 'at', string.format('%.0f', now))
      redis.call('PEXPIRE', key, math.ceil((capacity - tokens) / refill / 1000))
    end
    return math.ceil((TOKEN - tokens) / refill / 1000)
  end

  tokens = tokens - TOKEN
  -- %.0f, because Lua would write large numbers as 1.7e+15.
  redis.call('HSET', key, 'tokens', string.format('%.0f', tokens), 'at', string.format('%.0f', now))
  -- Full again is as good as gone: idle payers take no memory.
  redis.call('PEXPIRE', key, math.ceil((capacity - tokens) / refill / 1000))
  return 0
end

local replies = {}
for index, key in ipairs(KEYS) do
  replies[index] = take(key)
end
return replies
