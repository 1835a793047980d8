/** Hooks for React 18 and later. Cues may be null: not attached yet, or on a server. */

import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";

import type { AnyEvents, Cues, Heard } from "./types.js";

/** Listens while the component is there. The listener of the last render is called. */
export function useCue<Events extends object = AnyEvents, Name extends Parameters<Cues<Events>["on"]>[0] = Parameters<Cues<Events>["on"]>[0]>(
  cues: Cues<Events> | null | undefined,
  name: Name,
  listener: (event: Heard<Events, Name>) => void,
): void {
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => cues?.on(name, (event) => latest.current(event as Heard<Events, Name>)), [cues, name]);
}

/** The value of a key, and a render when it changes; undefined where there is none, and on a server. */
export function useCueState<Value = unknown>(cues: Pick<Cues, "on" | "state"> | null | undefined, key: string): Value | undefined {
  const subscribe = useCallback(
    (changed: () => void) => cues?.on("#state", (event) => event.key === key && changed()) ?? (() => {}),
    [cues, key],
  );
  return useSyncExternalStore(
    subscribe,
    () => cues?.state<Value>(key),
    () => undefined,
  );
}
