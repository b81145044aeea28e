import { useCallback, useSyncExternalStore } from "react";

/** The task that the address names (`#task-12`), so that "back" closes it and a link opens it. */
export function useTaskInAddress(): [id: number | null, close: () => void] {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  const close = useCallback(() => {
    window.history.pushState(null, "", window.location.pathname);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  }, []);
  const id = /^#task-(\d+)$/.exec(hash)?.[1];
  return [id === undefined ? null : Number(id), close];
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener("hashchange", onChange);
  return () => window.removeEventListener("hashchange", onChange);
}
