import { describe, expect, it } from 'vitest';
import { bearerOf } from './bearer.js';

function ask(authorization: string | null): unknown {
  const headers = new Headers(authorization === null ? {} : { authorization });
  return bearerOf('s3cret')({ method: 'GET', url: '/', headers });
}

describe('bearerOf', () => {
  it('lets in who has the token, with every role', () => {
    expect(ask('Bearer s3cret')).toEqual({ tenant: 'default', user: 'token', roles: ['operator', 'worker', 'admin'] });
  });

  it.each([null, '', 'Bearer', 'Bearer s3cre', 'Bearer s3crett', 's3cret', 'Basic s3cret'])('refuses %j', (given) => {
    expect(ask(given)).toBeNull();
  });
});
