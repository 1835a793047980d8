//! By what nodes know each other: a node whose secret or certificate is another is asked for nothing, and says why.

use std::path::Path;

use super::{Stage, TAKEN_WITHIN, ready};
use crate::support::certificates::Authority;
use crate::support::postgres::Cluster;
use crate::support::process::Gateway;
use crate::support::within;

/// More lines of `[cluster]`.
fn with(configuration: &str, lines: &str) -> String {
    configuration.replace("[cluster]\n", &format!("[cluster]\nhold_ms = 300\n{lines}"))
}

/// The certificate of a node, written to files there; the lines of the configuration that name them.
fn certified(directory: &Path, authority: &Authority) -> String {
    authority.issue("node").write(directory);
    std::fs::write(directory.join("ca.pem"), authority.pem()).expect("a file");
    let line = |key: &str, file: &str| {
        let file = directory.join(file);
        format!("{key} = \"{}\"\n", file.display())
    };
    line("tls_cert", "cert.pem") + &line("tls_key", "key.pem") + &line("tls_ca", "ca.pem")
}

/// A node that the owner does not know says so, and takes nothing.
fn check_stranger(stranger: &Gateway, why: &str) {
    within(TAKEN_WITHIN, "the stranger answers", || {
        stranger.readiness()
    });
    within(TAKEN_WITHIN, "it knows that it is cut off", || {
        (stranger.readiness() == Some(503)).then_some(())
    });
    let refused = stranger.post("/v1/channels/quiz/events", r#"{"data":1}"#);
    assert_eq!(refused.status, 503, "{refused:?}");
    let detail = refused.json()["detail"].to_string();
    assert!(
        detail.contains("nothing was taken") && detail.contains(why),
        "{detail}"
    );
    stranger.process.logged("lives and cannot be reached");
}

fn check_friend(friend: &Gateway) {
    within(TAKEN_WITHIN, "the owner can be asked", || {
        friend.is_ready().then_some(())
    });
    let event = r#"{"id":"a","data":2}"#;
    within(TAKEN_WITHIN, "the owner takes an event", || {
        let answer = friend.post("/v1/channels/quiz/events", event);
        (answer.status == 202).then_some(())
    });
}

#[test]
fn nodes_with_another_secret_are_strangers() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let node = |name: &str, secret: &str| {
        let configuration = with(
            &stage.configuration(name),
            "secret_env = \"CUEGATE_NODES\"\n",
        );
        Gateway::spawn(&configuration, &[("CUEGATE_NODES", secret)])
    };
    let owner = node("owner", "sesame");
    within(TAKEN_WITHIN, "the owner answers", || owner.readiness());
    ready(&owner);
    check_friend(&node("friend", "sesame"));
    check_stranger(&node("stranger", "simsim"), "secret");
}

#[test]
fn nodes_of_another_authority_are_strangers() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (ours, theirs) = (Authority::new(), Authority::new());
    let directories = [(); 4].map(|()| tempfile::tempdir().expect("a directory"));
    let node = |nth: usize, lines: &str| {
        Gateway::spawn(
            &with(&stage.configuration(&format!("node-{nth}")), lines),
            &[],
        )
    };
    let owner = node(0, &certified(directories[0].path(), &ours));
    within(TAKEN_WITHIN, "the owner answers", || owner.readiness());
    ready(&owner);
    check_friend(&node(1, &certified(directories[1].path(), &ours)));
    check_stranger(
        &node(2, &certified(directories[2].path(), &theirs)),
        "cannot be asked",
    );
    check_stranger(&node(3, ""), "cannot be asked");
}
