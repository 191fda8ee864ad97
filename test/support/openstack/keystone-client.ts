/** One request as somebody who has logged in. Throws where it is refused. */
export type As = (method: string, url: string, body?: unknown) => Promise<unknown>;

interface Answered {
  readonly headers: Headers;
  readonly body: unknown;
}

async function ask(method: string, url: string, token: string | null, body?: unknown): Promise<Answered> {
  const isBinary = body instanceof Uint8Array;
  const response = await fetch(url, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': isBinary ? 'application/octet-stream' : 'application/json' }),
      ...(token !== null && { 'x-auth-token': token }),
    },
    ...(body !== undefined && { body: isBinary ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url} was answered by ${response.status}: ${text.slice(0, 300)}`);
  return { headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
}

/** Logs in with the first request. */
export function asUser(keystone: string, name: string, password: string, project: string): As {
  const domain = { id: 'default' };
  const auth = {
    identity: { methods: ['password'], password: { user: { name, domain, password } } },
    scope: { project: { name: project, domain } },
  };
  let token: string | null = null;
  return async (method, url, body) => {
    token ??= (await ask('POST', `${keystone}/auth/tokens`, null, { auth })).headers.get('x-subject-token');
    return (await ask(method, url, token, body)).body;
  };
}
