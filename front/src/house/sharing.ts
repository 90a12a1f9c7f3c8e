// What a front end shows in the address of its page, where the page gives it a place of its own:
// #explorer-3?index=2.0.1&at=0.5,-1.2

import { bring } from "./dom.ts";

/** A link that brings another reader to the same thing. */
export interface Link {
  /** What it leads to, in words. */
  to: string;
  address(): string;
}

export interface Sharing {
  /** Missing on a page that gives no place. */
  link?: Link;
  /** Does what the page's address says; whether it says anything that can be done. */
  follow(): boolean;
  stop(): void;
}

/** What an address says of a place; null if nothing. */
export function valuesAt(hash: string, place: string): URLSearchParams | null {
  const [where, query] = hash.replace(/^#/, "").split("?");
  return where === place && query ? new URLSearchParams(query) : null;
}

/**
 * to: what is shared, in words. write: the part of the address after the question mark. take: shows what such a part
 * says; false if that cannot be shown, and then nothing has changed.
 */
export function makeSharing(
  el: Element,
  to: string,
  write: () => string,
  take: (values: URLSearchParams) => boolean,
): Sharing {
  const place = el.closest<HTMLElement>("[data-share]")?.dataset.share;
  if (!place) return { follow: () => false, stop() {} };
  const follow = () => {
    const values = valuesAt(location.hash, place);
    const taken = values !== null && take(values);
    if (taken) bring(el);
    return taken;
  };
  addEventListener("hashchange", follow);
  return {
    link: { to, address: () => `${location.href.split("#")[0]}#${place}?${write()}` },
    follow,
    stop: () => removeEventListener("hashchange", follow),
  };
}
