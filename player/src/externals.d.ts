/** What is used of React, so that the package needs none of its types. */
declare module "react" {
  export function useCallback<F>(callback: F, needs: unknown[]): F;
  export function useEffect(effect: () => (() => void) | undefined | void, needs?: unknown[]): void;
  export function useRef<V>(value: V): { current: V };
  export function useSyncExternalStore<V>(subscribe: (changed: () => void) => () => void, get: () => V, onServer: () => V): V;
}
