// What the app under limits allows (`limited-app.mjs`), for it and for who checks it from outside.
export const allowed = {
  'model-slots': { concurrency: 4 },
  'model-tokens': { rate: { tokens: 1_300, per: '1s', burst: 2_600 } },
  'tenant-requests': { rate: { requests: 2, per: '1s', burst: 4 }, by: ['tenant'] },
  'tool-slots': { concurrency: 4 },
  'tool-pace': { rate: { requests: 8, per: '1s', burst: 4 } },
  'fair-slots': { concurrency: 4 },
};
