// Asks Clerk's own SDK about each token on standard input; prints a list of true and false.
import { text } from 'node:stream/consumers';
import { verifyToken } from '@clerk/backend';

const { pem, party, skew, now, tokens } = JSON.parse(await text(process.stdin));
Date.now = () => now; // the SDK reads the clock by this alone

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
