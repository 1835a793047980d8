//! Several nodes on one database: the state goes on at the node that takes over, and each node tells what the owner knows.

use std::net::SocketAddr;
use std::time::Duration;

use super::Stage;
use crate::support::emulator::Emulator;
use crate::support::http::{Response, send};
use crate::support::postgres::Cluster;
use crate::support::process::{Gateway, arn, command, run};
use crate::support::{eventually, ports, within};

/// The shortest lease, and what a busy machine takes beside it.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);

struct Node {
    name: &'static str,
    /// Where viewers ask.
    viewers: SocketAddr,
}

impl Node {
    fn new(name: &'static str) -> Self {
        let viewers = ports::free();
        Self { name, viewers }
    }

    fn configuration(&self, emulator: &Emulator, database: &Cluster) -> String {
        format!(
            "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{}\"\n[state]\nlisten = \"{}\"\nwindow_ms = 3000\n\
             [cluster]\nurl = \"{}\"\nnode = \"{}\"\nlease_ms = 3000\nbeat_ms = 200\n\
             [[channel]]\nname = \"quiz\"\narn = \"{}\"\nttl_ms = 120000\nkeyframes = true\nstate_idle_ms = 100\n\
             state_http = true\nstate_delay_ms = 300\n",
            emulator.api.0,
            self.viewers,
            database.url(),
            self.name,
            arn("quiz")
        )
    }

    fn start(&self, emulator: &Emulator, database: &Cluster) -> Gateway {
        let node = Gateway::spawn(&self.configuration(emulator, database), &[]);
        eventually("the node answers", || node.readiness());
        node
    }

    /// Viewers are told the state, once what was sent of late is known and no spoiler.
    fn tells(&self, who: &str) {
        within(TAKEN_WITHIN, who, || {
            let answer = self.asked();
            (answer.status == 200 && answer.text().contains("patch ")).then_some(())
        });
    }

    fn asked(&self) -> Response {
        send(self.viewers, "GET", "/v1/channels/quiz/state", &[], b"")
    }
}

fn ready(node: &Gateway) {
    within(TAKEN_WITHIN, "the node owns the account", || {
        node.owns().then_some(())
    });
}

#[test]
fn the_state_goes_on_at_the_node_that_takes_over() {
    let Some(database) = Cluster::alone() else {
        return;
    };
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let (one, two) = (Node::new("first"), Node::new("second"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("cuegate.toml");
    std::fs::write(&file, one.configuration(&emulator, &database)).expect("a file");
    let made = run(
        command().args(["cluster", "init", "--config"]).arg(&file),
        "",
    );
    assert_eq!(made.code, Some(0), "{made:?}");

    let first = one.start(&emulator, &database);
    ready(&first);
    let second = two.start(&emulator, &database);
    let mut stage = Stage {
        emulator,
        directory,
        gateway: first,
        sent: 0,
    };
    stage.publish(60, 60_000);
    stage.check("the first node sent all");
    one.tells("the owner");
    // Asked at another node, the owner answers.
    two.tells("the other node");
    within(TAKEN_WITHIN, "both tell the same", || {
        let [there, here] = [&two, &one].map(|node| node.asked().header("etag").to_owned());
        (there == here).then_some(())
    });

    stage.publish(60, 60_000);
    stage.gateway.process.kill();
    ready(&second);
    stage.gateway = second;
    stage.publish(60, 60_000);
    stage.check("another node took over");
    two.tells("the next owner");
}
