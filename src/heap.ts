import { setFlagsFromString } from 'node:v8';

// Each call in flight keeps some 20 KB alive for tens of milliseconds, and so does each
// batch of events its rows: V8 takes that for lasting, and lets hundreds of megabytes of
// old garbage come about. Here it is collected once it is as much as what is in use.
//
// The young generation is to have --max-semi-space-size=8 (MB), which counts only on the
// command line or in NODE_OPTIONS. A process that was started without does not let it
// grow at all: as small in memory, but collecting so often that a payment costs up to a
// third more CPU. docs/adr/0011-heap-flags.md has the figures.
//
// Import this before anything else.
const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
if (!flags.includes('--max-semi-space-size')) setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=100');
