// Uses the emulator through Clerk's backend SDK; prints what each step returned.
import { createClerkClient, verifyToken } from '@clerk/backend';

const { CLERK_URL: apiUrl, SECRET_KEY: secretKey, PUBLISHABLE_KEY: publishableKey } = process.env;
const clerk = createClerkClient({ apiUrl, secretKey, publishableKey, telemetry: { disabled: true } });
const steps = {};
const app = 'http://127.0.0.1:3000/notes';

// The users
const { data, totalCount } = await clerk.users.getUserList({ limit: 3, orderBy: '+created_at' });
const [ada] = data;
steps.list = { names: data.map((user) => user.firstName), totalCount, count: await clerk.users.getCount() };
steps.update = (await clerk.users.updateUser(ada.id, { firstName: 'Augusta' })).firstName;
await clerk.users.updateUserMetadata(ada.id, { publicMetadata: { plan: { name: 'pro', seats: 3 } } });
const merged = await clerk.users.updateUserMetadata(ada.id, { publicMetadata: { plan: { seats: null } } });
steps.merged = merged.publicMetadata;
steps.replaced = (await clerk.users.replaceUserMetadata(ada.id, { publicMetadata: { a: 1 } })).publicMetadata;
steps.ban = (await clerk.users.banUser(ada.id)).banned;
steps.unban = (await clerk.users.unbanUser(ada.id)).banned;

// A browser signs in. Node keeps no cookies, so they are kept here.
const cookies = new Map();
async function browse(address, options = {}) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const response = await fetch(address, { redirect: 'manual', ...options, headers: { cookie } });
  for (const header of response.headers.getSetCookie()) keep(header);
  return response;
}
function keep(header) {
  const [pair] = header.split(';');
  const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
  if (value) cookies.set(name, value);
  else cookies.delete(name);
}
async function authenticate(options = {}) {
  const headers = {
    accept: 'text/html',
    'sec-fetch-dest': 'document',
    cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
  };
  const request = new Request(app, { headers });
  return clerk.authenticateRequest(request, {
    proxyUrl: apiUrl,
    authorizedParties: ['http://127.0.0.1:3000'],
    ...options,
  });
}
/** Follows the handshake that the SDK asks for, to the signed-in request. */
async function shakeHands(state) {
  const returned = await browse(state.headers.get('location'));
  const after = await authenticate();
  for (const header of after.headers.getSetCookie()) keep(header);
  return { returned: returned.headers.get('location'), status: after.status, reason: after.reason };
}

steps.before = (await authenticate()).status;
await browse(`${apiUrl}/v1/client/sign_ins`, { method: 'POST', body: new URLSearchParams({ identifier: 'ada' }) });
const first = await authenticate();
steps.handshake = { status: first.status, reason: first.reason, ...(await shakeHands(first)) };
const session = await authenticate();
steps.session = { status: session.status, mine: session.toAuth().userId === ada.id };
const token = cookies.get('__session');
const claims = await verifyToken(token, { secretKey, apiUrl, authorizedParties: ['http://127.0.0.1:3000'] });
steps.verified = claims.sub === ada.id && claims.first_name === 'Augusta';

// An expired token leads to a handshake; so does a rotated key.
await fetch(`${apiUrl}/_dev/frontend`, { method: 'POST', body: JSON.stringify({ fault: 'expired' }) });
const sid = claims.sid;
const expired = await (await browse(`${apiUrl}/v1/client/sessions/${sid}/tokens`, { method: 'POST' })).json();
for (const name of [...cookies.keys()]) if (name.startsWith('__session')) cookies.set(name, expired.jwt);
const stale = await authenticate();
steps.expired = { status: stale.status, reason: stale.reason, after: (await shakeHands(stale)).status };

// A ban ends the session: the next handshake signs the browser out.
await clerk.users.banUser(ada.id);
for (const name of [...cookies.keys()]) if (name.startsWith('__session')) cookies.set(name, expired.jwt);
const banned = await authenticate();
steps.banned = { status: banned.status, after: (await shakeHands(banned)).status };
steps.gone = (await clerk.users.deleteUser(ada.id)).deleted;
steps.unknown = await clerk.users.getUser(ada.id).catch((error) => [error.status, error.errors[0].code]);
process.stdout.write(JSON.stringify(steps));
