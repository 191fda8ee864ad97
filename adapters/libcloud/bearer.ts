import { reveal, type Secret } from '../http/secret.ts';
import type { Session } from './session.ts';

/** The login of an API whose token is sent with each request. */
export const bearer = (token: Secret) => async (): Promise<Session> => ({
  headers: { authorization: `Bearer ${reveal(token)}` },
});
