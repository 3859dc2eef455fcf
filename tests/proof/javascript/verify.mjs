// Verifies each token on standard input with Clerk's SDK; prints a list of true and false.
import { text } from 'node:stream/consumers';
import { verifyToken } from '@clerk/backend';

const { pem, party, skew, now, tokens } = JSON.parse(await text(process.stdin));
Date.now = () => now; // the only clock of the SDK

const accepted = [];
for (const token of tokens) {
  try {
    await verifyToken(token, { jwtKey: pem, authorizedParties: [party], clockSkewInMs: skew });
    accepted.push(true);
  } catch {
    accepted.push(false);
  }
}
process.stdout.write(JSON.stringify(accepted));
