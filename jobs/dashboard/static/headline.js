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

export function headline(view) {
  const at = moment(view.updated);
  const failures = view.failures?.length ? ", with failures" : "";
  const took = view.took ? `; the stages took ${view.took}` : "";
  const goOn = "the same command goes on where it stopped";
  return {
    waiting: "No stage of this run has started",
    running: "Running",
    silent: `No news since ${at}: interrupted, or in a long step. If it was interrupted, ${goOn}`,
    stopped: `Stopped on ${at}. Not begun: ${waitingStages(view)}; ${goOn}`,
    finished: `Finished on ${at}${failures}${took}`,
  }[view.state];
}
