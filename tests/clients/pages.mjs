// SPDX-License-Identifier: MIT
// For tests/clients/run: two pages that share a device, whose token is at its end. Out: the token that each has then, and of a third that was signed out meanwhile.
import { Session, SignedOut } from "../../clients/js/session.js";

let kept = { userId: "me", deviceId: "d", accessToken: "old", refreshToken: "r1", expiresAt: 0 };
let queue = Promise.resolve();
const alone = (work) => (queue = queue.then(work));
const page = () => new Session(process.argv[2], kept, (tokens) => (kept = tokens), { alone, stored: () => kept });

const both = await Promise.all([page(), page()].map((session) => session.accessToken()));
const third = page();
kept = null;
const over = await third.accessToken(both[0]).catch((e) => e instanceof SignedOut);
console.log(JSON.stringify([...both, over]));
