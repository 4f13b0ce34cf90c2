// What Streamlit runs: it fetches the viewer from the server once and passes on what Python sends.
const views = new WeakMap();

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".hs-viewer");
  const send = { picked: (value) => setTriggerValue("picked", value), region: (value) => setStateValue("region", value) };
  const address = new URL(`${data.base}/script?name=viewer.js`, window.location.origin);
  if (!views.has(root)) views.set(root, import(address).then((viewer) => viewer.mount(root, send)));
  views.get(root).then(
    (view) => view.update(data),
    (error) => { root.textContent = `The slide viewer did not load (${error.message}). Load the page again.`; },
  );
  return () => {
    views.get(root)?.then((view) => view.end(), () => {});
    views.delete(root);
  };
}
