//! Several owners: channels made by API are known at every node, and lists are of all accounts.

use serde_json::{Value, json};

use super::{Stage, TAKEN_WITHIN};
use crate::support::http::{Response, check_problem, send};
use crate::support::postgres::Cluster;
use crate::support::process::{Gateway, arn};
use crate::support::within;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const SECOND: &str = "eu-west-1";

/// A channel of the account's second region, which has an owner of its own.
fn second(name: &str) -> String {
    arn(name).replace("us-west-2", SECOND)
}

fn put(node: &Gateway, name: &str, definition: &Value) -> Response {
    let path = format!("/v1/channels/{name}");
    send(
        node.producers,
        "PUT",
        &path,
        &JSON,
        definition.to_string().as_bytes(),
    )
}

impl Stage {
    /// Two nodes, each of which owns the account in a region: the second's channels are `alpha` and `zeta`.
    fn owners(&self) -> (Gateway, Gateway) {
        let channels = ["alpha", "zeta"].map(|name| {
            let arn = second(name);
            self.emulator.api.stream(&arn, "live");
            format!("[[channel]]\nname = \"{name}\"\narn = \"{arn}\"\n")
        });
        let mut channels = [channels.concat(), String::new()].to_vec();
        let (one, two) = self.pair_with("", || channels.pop().unwrap_or_default());
        within(TAKEN_WITHIN, "the second region has an owner", || {
            let metrics = two.scrape();
            let mut owner = metrics.of("cuegate_cluster_owner");
            owner
                .any(|(labels, owns)| labels.contains(SECOND) && owns > 0.5)
                .then_some(())
        });
        // The first has no channel of the second region, and hears of its owner at its next look.
        within(
            TAKEN_WITHIN,
            "the first node knows the second owner",
            || {
                listed(&one, 100)
                    .contains(&"alpha".to_owned())
                    .then_some(())
            },
        );
        (one, two)
    }
}

#[test]
fn a_channel_that_was_made_at_one_node_is_known_at_the_other() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (owner, other) = stage.pair("");
    let made = arn("made");
    stage.emulator.api.stream(&made, "live");
    let definition = json!({"arn": made, "ttl_ms": 30000});
    for status in [201, 200] {
        let answer = put(&other, "made", &definition);
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(owner.status("made")["arn"], made.as_str());
    assert_eq!(other.status("made")["definition"]["ttl_ms"], 30000);
    other.publish("made", r#"{"id":"m","data":7}"#);
    other.drained("made");
    // Named within a request, and at once.
    stage.emulator.api.stream(&arn("late"), "live");
    assert_eq!(
        put(&owner, "late", &json!({"arn": arn("late")})).status,
        201
    );
    let answer = other.post("/v1/events", r#"{"channel":"late","data":8}"#);
    assert_eq!(answer.status, 202, "{answer:?}");
    let nobody = other.request("GET", "/v1/channels/nobody");
    check_problem(&nobody, 404, "unknown_channel");
    let faults = put(&other, "bad", &json!({"arn": arn("bad"), "ttl_ms": "x"}));
    assert!(faults.status >= 400 && faults.status < 500, "{faults:?}");
    assert_eq!(other.request("DELETE", "/v1/channels/made").status, 204);
    for node in [&owner, &other] {
        check_problem(
            &node.request("GET", "/v1/channels/made"),
            404,
            "unknown_channel",
        );
    }
    check_problem(
        &other.request("DELETE", "/v1/channels/made"),
        404,
        "unknown_channel",
    );
}

/// The names on all pages.
fn listed(node: &Gateway, limit: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/channels?limit={limit}{after}");
        let answer = node.request("GET", &path);
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let channels = page["channels"].as_array().expect("channels");
        assert!(channels.len() <= limit);
        let name = |channel: &Value| channel["channel"].as_str().expect("a name").to_owned();
        names.extend(channels.iter().map(name));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return names,
        }
    }
}

#[test]
fn channels_of_all_owners_are_listed_and_made_at_any_node() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (one, two) = stage.owners();
    let all = ["alpha", "here", "quiz", "there", "zeta"];
    for limit in [1, 2, 5, 100] {
        assert_eq!(listed(&one, limit), all, "{limit}");
        assert_eq!(listed(&two, limit), all, "{limit}");
    }
    // All or none is for one owner.
    let both = r#"[{"channel":"here","data":1},{"channel":"alpha","data":1}]"#;
    let refused = two.post("/v1/events?atomic=true", both);
    check_problem(&refused, 422, "invalid_event");
    assert_eq!(one.status("here")["totals"]["accepted"], 0);
    let console = |node: &Gateway| {
        let page = send(node.admin, "GET", "/admin/channels?limit=1&q=a", &[], b"").json();
        (
            page["total"].clone(),
            page["channels"][0]["channel"].clone(),
        )
    };
    // The ARNs have an a.
    assert_eq!(console(&one), (json!(5), json!("alpha")));
    assert_eq!(console(&two), console(&one));
    assert_eq!(
        put(&one, "made", &json!({"arn": second("made")})).status,
        201
    );
    assert_eq!(two.status("made")["arn"], second("made"));
    assert_eq!(
        listed(&two, 2),
        ["alpha", "here", "made", "quiz", "there", "zeta"]
    );
    // An alias does not move between owners.
    let moved = put(&one, "made", &json!({"arn": arn("made")}));
    check_problem(&moved, 409, "channel_conflict");
    assert_eq!(one.request("DELETE", "/v1/channels/made").status, 204);
    assert_eq!(put(&two, "made", &json!({"arn": arn("made")})).status, 201);
    assert_eq!(one.status("made")["arn"], arn("made"));
}

/// The ids on all pages of dead letters.
fn letters(node: &Gateway, limit: usize, total: usize) -> Vec<u64> {
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/admin/dead-letters?limit={limit}{after}");
        let page = send(node.admin, "GET", &path, &[], b"").json();
        assert_eq!(page["total"], total, "{page}");
        let letters = page["dead_letters"].as_array().expect("letters");
        assert!(letters.len() <= limit, "{page}");
        ids.extend(letters.iter().filter_map(|letter| letter["id"].as_u64()));
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return ids,
        }
    }
}

#[test]
fn dead_letters_of_all_owners_are_dealt_with_at_any_node() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (one, two) = stage.owners();
    let denied = r#"{"kind":"error","status":403,"code":"AccessDeniedException","probability":1}"#;
    stage.emulator.api.faults(denied);
    for (node, channel) in [(&one, "here"), (&two, "alpha")] {
        node.publish(channel, r#"[{"data":1},{"data":2},{"data":3}]"#);
        node.drained(channel);
    }
    stage.emulator.api.no_faults();
    let ids = letters(&one, 100, 6);
    assert!(
        ids.len() == 6 && ids.windows(2).all(|two| two[0] < two[1]),
        "{ids:?}"
    );
    for limit in 1..6 {
        assert_eq!(letters(&one, limit, 6), ids, "{limit}");
        assert_eq!(letters(&two, limit, 6), ids, "{limit}");
    }
    let ask = |node: &Gateway, method: &str, query: &str| {
        let path = format!("/admin/dead-letters{query}");
        let answer = send(node.admin, method, &path, &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let of_alpha = format!("?channel={}", second("alpha"));
    let page = ask(&one, "GET", &of_alpha);
    let id = page["dead_letters"][1]["id"].clone();
    assert_eq!(page["dead_letters"][1]["alias"], "alpha", "{page}");
    let replayed = ask(&one, "POST", &format!("?id={id}"));
    assert_eq!(replayed, json!({"replayed": 1, "refused": []}));
    two.drained("alpha");
    assert_eq!(stage.emulator.api.metadata(&second("alpha")).len(), 1);
    assert_eq!(ask(&one, "DELETE", &of_alpha), json!({"purged": 2}));
    assert_eq!(ask(&two, "DELETE", ""), json!({"purged": 3}));
    assert_eq!(letters(&one, 9, 0), [0; 0]);
}

#[test]
fn the_console_of_any_node_shows_all_owners() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let (one, two) = stage.owners();
    for (node, channel) in [(&one, "here"), (&two, "alpha")] {
        node.pause(channel);
        node.publish(channel, r#"[{"data":1},{"data":2}]"#);
    }
    let [seen, other] = [&one, &two].map(|node| {
        within(TAKEN_WITHIN, "every owner tells its figures", || {
            let overview = send(node.admin, "GET", "/admin/overview", &[], b"").json();
            let accounts = overview["cluster"]["accounts"].as_array().map(Vec::len);
            let is_whole = overview["cluster"]["whole"] == true && accounts == Some(2);
            (is_whole && overview["queued"] == 4).then_some(overview)
        })
    });
    assert_eq!(seen["channels"], 5);
    let regions = seen["accounts"].as_array().expect("accounts").iter();
    let regions: Vec<_> = regions.map(|account| account["region"].clone()).collect();
    assert_eq!(regions, [SECOND, "us-west-2"]);
    let cluster = &seen["cluster"];
    assert_eq!(cluster["nodes"][0]["name"], "other");
    assert_eq!(cluster["nodes"][1]["is_this"], true);
    let owned = json!([
        {"account": "000000000000", "region": SECOND, "owner": "other", "epoch": 1},
        {"account": "000000000000", "region": "us-west-2", "owner": "owner", "epoch": 1},
    ]);
    assert_eq!(cluster["accounts"], owned);
    assert_eq!(other["cluster"]["accounts"], owned);
}
