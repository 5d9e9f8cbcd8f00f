/**
 * What is drawn is the same in each run of `npm test`, so that a change is refused for what it did and not for what a
 * lucky draw found; each night draws anew (`EVENTSPINE_NIGHTLY=1`).
 */
import fc from 'fast-check';

if (process.env['EVENTSPINE_NIGHTLY'] !== '1') fc.configureGlobal({ seed: 1 });
