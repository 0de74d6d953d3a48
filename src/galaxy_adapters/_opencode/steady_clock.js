// Runs inside opencode before opencode itself (BUN_INSPECT_PRELOAD; measured with 1.18.33).
//
// opencode orders the messages of a session by their dates. Where the time of day is set back under a
// turn, a later step of it counts as an earlier one: the model is asked again and again, with what it
// said in the wrong order, and tools run again. So opencode is given a time of day that does not go
// back: after such a step it runs at half speed, until the real one has caught up. It is never behind
// the real one, and a jump forward is followed at once.
const wall = Date.now;
// Where the session that is gone on with has got to, in milliseconds.
let last = Math.max(wall(), Number(process.env.GALAXY_CLOCK_FLOOR) || 0);
let moment = performance.now();

delete process.env.BUN_INSPECT_PRELOAD;
delete process.env.GALAXY_CLOCK_FLOOR;
Date.now = () => {
  const now = performance.now();
  last = Math.max(wall(), last + (now - moment) / 2);
  moment = now;
  return Math.floor(last);
};
