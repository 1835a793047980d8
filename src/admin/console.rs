//! The console: a page, its style and its scripts, as they are in `console/`, in the binary.
//!
//! There is no build step and nothing comes from elsewhere. `words.js` is written from the engine's lists. `player.js` is the library for players in one
//! file, made by `tests/interop/bundle.py`; `vendor/hls.light.min.js` is hls.js as it is published. The page
//! knows only what it asks of `/admin/*`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use engine::{Merge, Priority};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, media type and text of every file.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("console/index.html")),
    ("/console.css", CSS, include_str!("console/console.css")),
    ("/icon.svg", SVG, include_str!("console/icon.svg")),
    ("/console.js", SCRIPT, include_str!("console/console.js")),
    ("/api.js", SCRIPT, include_str!("console/api.js")),
    ("/channel.js", SCRIPT, include_str!("console/channel.js")),
    ("/channels.js", SCRIPT, include_str!("console/channels.js")),
    ("/cluster.js", SCRIPT, include_str!("console/cluster.js")),
    ("/config.js", SCRIPT, include_str!("console/config.js")),
    ("/define.js", SCRIPT, include_str!("console/define.js")),
    ("/dom.js", SCRIPT, include_str!("console/dom.js")),
    ("/events.js", SCRIPT, include_str!("console/events.js")),
    ("/keys.js", SCRIPT, include_str!("console/keys.js")),
    ("/letters.js", SCRIPT, include_str!("console/letters.js")),
    (
        "/hls.light.min.js",
        SCRIPT,
        include_str!("vendor/hls.light.min.js"),
    ),
    ("/losses.js", SCRIPT, include_str!("console/losses.js")),
    ("/payloads.js", SCRIPT, include_str!("console/payloads.js")),
    ("/player.js", SCRIPT, include_str!("console/player.js")),
    ("/queue.js", SCRIPT, include_str!("console/queue.js")),
    ("/send.js", SCRIPT, include_str!("console/send.js")),
    ("/timeline.js", SCRIPT, include_str!("console/timeline.js")),
    ("/watch.js", SCRIPT, include_str!("console/watch.js")),
];

/// The words that an event may have, for the form that sends one.
static WORDS: LazyLock<String> = LazyLock::new(|| {
    let (merges, priorities) = (
        Merge::ALL.map(Merge::name),
        Priority::ALL.map(Priority::name),
    );
    format!("export const MERGES = {merges:?};\nexport const PRIORITIES = {priorities:?};\n")
});

/// Every file at its path.
pub(super) fn router() -> Router {
    let words = ("/words.js", SCRIPT, WORDS.as_str());
    let files = FILES.iter().copied().chain([words]);
    files.fold(Router::new(), |router, (path, kind, text)| {
        let tag = tag(text);
        let serve = async move |headers: HeaderMap| file(kind, text, &tag, &headers);
        router.route(path, get(serve))
    })
}

/// The file, unless the browser has it: it asks each time, so that a new version is seen at once.
fn file(kind: &'static str, text: &'static str, tag: &str, asked: &HeaderMap) -> Response {
    let about = [(CACHE_CONTROL, "no-cache"), (ETAG, tag)];
    if asked.get(IF_NONE_MATCH).is_some_and(|has| has == tag) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(CONTENT_TYPE, kind)], text).into_response()
}

fn tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_served() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/console");
        for entry in std::fs::read_dir(directory).expect("the directory") {
            let name = entry.expect("an entry").file_name();
            let path = format!("/{}", name.to_str().expect("text"));
            let path = path.replace("/index.html", "/");
            assert!(FILES.iter().any(|file| file.0 == path), "{path}");
        }
    }

    #[test]
    fn nothing_is_written_as_html() {
        // A library's names of formats look like places.
        let own = FILES.iter().filter(|file| file.0 != "/hls.light.min.js");
        for (path, kind, text) in own {
            if *kind == SCRIPT {
                for way in [
                    "innerHTML",
                    "outerHTML",
                    "insertAdjacentHTML",
                    "document.write",
                    "eval(",
                    "srcdoc",
                ] {
                    assert!(!text.contains(way), "{path} uses {way}");
                }
            }
            // But for names that are no addresses, and what the library's dictionary begins one with.
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            let elsewhere = elsewhere.replace(r#""url":"https://""#, "");
            for scheme in ["http://", "https://"] {
                assert!(!elsewhere.contains(scheme), "{path} names another place");
            }
        }
    }
}
