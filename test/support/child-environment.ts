/**
 * What every process that a test starts has of our environment: the path, and where
 * Node keeps what it compiled, without which each start compiles the project again.
 */
export const childEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  ['PATH', 'NODE_COMPILE_CACHE'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
);
