import { Outage } from '../../src/app/outage.ts';

/** For tests of other things: nobody hears of it. */
export const UNREPORTED = new Outage({ began: () => undefined, ended: () => undefined });
