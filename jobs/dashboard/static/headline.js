// What a run does, or how it ended, in words.
function moment(seconds) {
  const form = { dateStyle: "medium", timeStyle: "short" };
  return new Date(seconds * 1000).toLocaleString("en-GB", form);
}

function waitingStages(view) {
  // Stages of an earlier configuration have begun, and come last.
  const end = view.stages.findLastIndex((stage) => stage.state === "waiting") + 1;
  const stages = view.stages.slice(0, end);
  const begun = stages.findLastIndex((stage) => stage.state !== "waiting");
  return stages.slice(begun + 1).map((stage) => stage.title).join(", ");
}

function running(view) {
  if (view.is_live) return "Running";
  const hasBegun = view.stages.some((stage) => stage.state !== "waiting");
  return hasBegun ? "Running: between stages" : "Running: the first stage begins";
}

export function headline(view) {
  const at = moment(view.updated);
  const failures = view.failures?.length ? ", with failures" : "";
  const took = view.took ? `; the stages took ${view.took}` : "";
  const goOn = "the same command goes on where it stopped";
  const place = view.place ? ` in ${view.place}` : "";
  const reason = view.reason ? `: ${view.reason}` : "";
  const open = waitingStages(view);
  return {
    waiting: "No stage of this run has started",
    running: running(view),
    silent: `No news since ${at}: killed, or in a long step. If it was killed, ${goOn}`,
    stopped: `Stopped on ${at}${open ? `. Not begun: ${open}` : ""}; ${goOn}`,
    interrupted: `Interrupted on ${at}${place}${reason}; run the same command again to resume`,
    failed: `Failed on ${at}${place}${reason}`,
    finished: `Finished on ${at}${failures}${took}`,
  }[view.state];
}
