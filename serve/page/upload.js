// Documents into the collection: by drop or by button, with progress until the job has ended.

import { authorization, errorOf, getJson, newKey } from "./api.js";
import { button, byId, make, say } from "./dom.js";

const POLL_MS = 400;

export function prepareUpload(chosenCollection, whenDone) {
  const send = (files) => files.length && upload([...files], chosenCollection(), whenDone);
  byId("add").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", (event) => {
    send(event.target.files);
    event.target.value = "";
  });
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    byId("drop").hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) byId("drop").hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    byId("drop").hidden = true;
    send(event.dataTransfer.files);
  });
}

async function upload(files, collection, whenDone) {
  const name = files.length === 1 ? files[0].name : `${files.length} documents`;
  const bar = make("progress", { max: "1", value: "0", "aria-label": `Adding ${name}` });
  const note = make("span", { class: "quiet" }, "sending");
  const row = make("div", { class: "upload" }, make("span", { class: "name" }, name), bar, note);
  byId("uploads").append(row);
  const told = (text, wrong) => {
    bar.remove();
    note.textContent = text;
    note.className = wrong ? "wrong" : "quiet";
    row.append(button("Dismiss", () => row.remove()));
    say(`${name}: ${text}`);
  };
  try {
    const form = new FormData();
    for (const file of files) form.append("files", file, file.name);
    if (collection) form.append("collection", collection);
    let job = await sent(form, (share) => (bar.value = share / 2));
    while (job.state === "queued" || job.state === "running") {
      const { documents, done } = job.progress;
      bar.value = 0.5 + (documents ? (0.5 * (done ?? 0)) / documents : 0);
      note.textContent = job.state === "queued" ? "waiting" : "indexing";
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      job = await getJson(`/v1/jobs/${encodeURIComponent(job.id)}`);
    }
    const failed = (job.report?.failed ?? []).map((each) => `${each.path}: ${each.reason}`);
    if (job.state !== "done") told(job.error?.message ?? `the job was ${job.state}.`, true);
    else if (failed.length) told(`not indexed: ${failed.join("; ")}`, true);
    else told("added");
    await whenDone();
  } catch (error) {
    told(error.message, true);
  }
}

// XMLHttpRequest, because fetch does not tell how much has been sent.
function sent(form, onShare) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/documents");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onShare(event.loaded / event.total);
    request.onerror = () => reject(new Error("the service cannot be reached."));
    request.onload = async () => {
      if (request.status === 202) resolve(JSON.parse(request.responseText));
      else if (request.status === 401 && (await newKey())) resolve(sent(form, onShare));
      else reject(errorOf(request.status, request.responseText));
    };
    request.send(form);
  });
}
