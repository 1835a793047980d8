//! What is said of which facts.

use std::path::PathBuf;
use std::time::Duration;

use super::gateway::{Account, Running, calls};
use super::machine::{Place, judge_certificate, judge_disk};
use super::*;
use crate::config::{JournalMode, JournalSettings};
use crate::upstream::{CallError, ClockReading, Examined, Kind, ReadFailure};

const ME: &str = "123456789012";

fn failure(kind: Kind, code: Option<&str>, status: Option<u16>) -> ReadFailure {
    let error = CallError {
        code: code.map(str::to_owned),
        status,
        message: "said so".to_owned(),
    };
    ReadFailure { kind, error }
}

fn denied() -> ReadFailure {
    failure(Kind::Answered, Some("AccessDeniedException"), Some(403))
}

/// All is well.
fn well() -> Examined {
    Examined {
        no_credentials: None,
        identity: Some(Ok((
            format!("arn:aws:sts::{ME}:assumed-role/a/b"),
            ME.to_owned(),
        ))),
        host: Some("ivs.us-west-2.amazonaws.com".to_owned()),
        streams: Some(Ok(Duration::from_millis(31))),
        missing: Some(Ok(Vec::new())),
        clock: vec![ClockReading {
            ahead_ms: -300,
            within_ms: 515,
        }],
    }
}

/// Each must be told at this level, with this text in it, and what is to be done.
fn check(what: &str, found: &[Finding], expected: (&str, Level, &str)) {
    let (check, level, text) = expected;
    let finding = found.iter().find(|finding| finding.check == check);
    let finding = finding.unwrap_or_else(|| panic!("{what}: no {check} in {found:?}"));
    assert_eq!(finding.level, level, "{what}: {finding:?}");
    assert!(finding.found.contains(text), "{what}: {finding:?}");
    assert!(
        level != Level::Action || finding.advice.is_some(),
        "{what}: {finding:?}"
    );
}

/// Of an account that is as `set` has it, and otherwise well.
fn judged(set: impl FnOnce(&mut Examined)) -> Vec<Finding> {
    let mut examined = well();
    set(&mut examined);
    account::judge(ME, "us-west-2", 9, &examined)
}

#[test]
fn an_account_that_is_well() {
    let all = judged(|_| {});
    assert!(all.iter().all(|it| it.level == Level::Ok), "{all:?}");
    let kinds: Vec<_> = all.iter().map(|it| it.check).collect();
    assert_eq!(
        kinds,
        ["credentials", "network", "permissions", "channels", "clock"]
    );
}

#[test]
fn what_credentials_say() {
    let (action, note) = (Level::Action, Level::Note);
    let says = |what, identity, level, text| {
        let found = judged(|it| it.identity = identity);
        check(what, &found, ("credentials", level, text));
    };
    let other = ["arn:aws:iam::999999999999:user/a", "999999999999"].map(str::to_owned);
    let other = Some(Ok(other.into()));
    says("another's", other, action, "of the account 999999999999");
    says("not asked", None, note, "not AWS's");
    let unknown = failure(Kind::Answered, Some("InvalidClientTokenId"), Some(403));
    let text = "InvalidClientTokenId: said so";
    says("unknown", Some(Err(unknown)), action, text);
    let away = failure(Kind::NotConnected, None, None);
    says("STS is away", Some(Err(away)), note, "said so");
    let found = judged(|it| it.no_credentials = Some("none were found".to_owned()));
    check("none", &found, ("credentials", action, "none were found"));
    assert_eq!(found.len(), 1, "nothing else was asked");
}

#[test]
fn what_the_api_says() {
    let (action, note) = (Level::Action, Level::Note);
    let says = |what, code, status, expected| {
        let failed = failure(Kind::Answered, Some(code), Some(status));
        check(what, &judged(|it| it.streams = Some(Err(failed))), expected);
    };
    let text = "ivs:ListStreams is not allowed";
    let expected = ("permissions", note, text);
    says("denied", "AccessDeniedException", 403, expected);
    let expected = ("permissions", action, "UnrecognizedClientException");
    says("refused", "UnrecognizedClientException", 403, expected);
    let expected = ("permissions", note, "ThrottlingException");
    says("busy", "ThrottlingException", 429, expected);
    let away = failure(Kind::NotConnected, None, None);
    let found = judged(|it| it.streams = Some(Err(away)));
    let text = "ivs.us-west-2.amazonaws.com: said so";
    check("away", &found, ("network", action, text));
    assert!(!found.iter().any(|it| it.check == "permissions"));
}

#[test]
fn what_channels_say() {
    let says = |missing: Vec<String>, text| {
        let found = judged(|it| it.missing = Some(Ok(missing)));
        check(text, &found, ("channels", Level::Action, text));
    };
    let arns = |n: usize| (0..n).map(|n| format!("arn-{n}")).collect();
    says(arns(1), "1 of 9 do not exist: arn-0");
    says(arns(7), "arn-4, and 2 more");
    let found = judged(|it| it.missing = Some(Err(denied())));
    let expected = ("channels", Level::Note, "ivs:BatchGetChannel");
    check("not to be looked for", &found, expected);
}

#[test]
fn what_clocks_say() {
    let within_ms = 500;
    let says = |ahead_ms, level, text| {
        let readings = [0, ahead_ms].map(|ahead_ms| ClockReading {
            ahead_ms,
            within_ms,
        });
        let found = judged(|it| it.clock = readings.into());
        check(text, &found, ("clock", level, text));
    };
    says(3_000, Level::Action, "3 s ahead of AWS's");
    let text = "400 s behind AWS's: every `at` is as far off; AWS refuses";
    says(-400_000, Level::Action, text);
    says(1_400, Level::Ok, "within 1 s");
    let without = judged(|it| it.clock.clear());
    assert!(!without.iter().any(|it| it.check == "clock"));
}

#[test]
fn what_a_running_gateway_says() {
    let metrics = "# TYPE cuegate_put_metadata_calls_total counter\n\
        cuegate_put_metadata_calls_total{account=\"1\",region=\"r\",outcome=\"delivered\"} 5\n\
        cuegate_put_metadata_calls_total{account=\"1\",region=\"r\",outcome=\"failed\"} 0\n\
        cuegate_put_metadata_calls_total{account=\"2\",region=\"r\",outcome=\"rejected\"} 2\n\
        cuegate_put_metadata_calls_total{nonsense\n";
    let account = |id: &str, up, reason: Option<&str>| Account {
        account: id.to_owned(),
        region: "r".to_owned(),
        up,
        reason: reason.map(str::to_owned),
    };
    let running = Running {
        accounts: vec![
            account("1", true, None),
            account("2", false, Some("denied")),
            account("3", true, None),
        ],
        calls: calls(metrics),
        max_fds: None,
    };
    let listen = "127.0.0.1:9464".parse().expect("an address");
    let found = gateway::judge(Some(&running), listen);
    for (nth, (level, text)) in [
        (Level::Ok, "calls that have ended: 5 delivered"),
        (
            Level::Action,
            "cannot send: denied (calls that have ended: 2 rejected)",
        ),
        (Level::Note, "no call has ended yet"),
    ]
    .into_iter()
    .enumerate()
    {
        check(
            &nth.to_string(),
            &found[nth..=nth],
            ("PutMetadata", level, text),
        );
    }
    check(
        "none",
        &gateway::judge(None, listen),
        ("PutMetadata", Level::Note, "127.0.0.1:9464"),
    );
}

#[test]
fn what_a_disk_says() {
    let mib = |n: u64| n << 20;
    let place = |writable, kind, free, used| Place {
        path: PathBuf::from("/there"),
        writable,
        kind,
        free: mib(free),
        used: mib(used),
    };
    let (disk, memory, layers) = (0xef53, 0x0102_1994, 0x794c_7630);
    for (mode, place, level, text) in [
        (
            JournalMode::Os,
            place(true, disk, 2000, 24),
            Level::Ok,
            "2000 MiB are free; the journal takes 24 MiB of at most 1024",
        ),
        (
            JournalMode::Os,
            place(true, disk, 999, 24),
            Level::Action,
            "grow by 1000 MiB",
        ),
        (
            JournalMode::Os,
            place(true, disk, 0, 2000),
            Level::Ok,
            "0 MiB are free",
        ),
        (
            JournalMode::Os,
            place(false, disk, 2000, 24),
            Level::Action,
            "may not write to /there",
        ),
        (
            JournalMode::Os,
            place(true, memory, 2000, 24),
            Level::Note,
            "in memory",
        ),
        (
            JournalMode::Fsync,
            place(true, memory, 2000, 24),
            Level::Action,
            "in memory",
        ),
        (
            JournalMode::Fsync,
            place(true, layers, 2000, 24),
            Level::Note,
            "container",
        ),
    ] {
        let settings = JournalSettings {
            mode,
            dir: PathBuf::from("data"),
            max_bytes: mib(1024),
        };
        check(
            text,
            &[judge_disk(&settings, &place)],
            ("disk", level, text),
        );
    }
}

#[test]
fn what_descriptors_say() {
    let settings = Settings::default();
    assert_eq!(settings.server.max_connections, 20_000);
    for (limit, level) in [
        (1 << 20, Level::Ok),
        (20_000, Level::Note),
        (1024, Level::Action),
    ] {
        let found = machine::descriptors(&settings, Some(limit));
        assert_eq!(found.level, level, "{found:?}");
    }
    let own = machine::descriptors(&settings, None);
    assert!(own.level != Level::Action, "a service has its own: {own:?}");
}

#[test]
fn what_certificates_say() {
    let now_s = 1_700_000_000;
    for (ends, level, text) in [
        (
            Some(1_800_000_000),
            Level::Ok,
            "good until 2027-01-15, 1157 days",
        ),
        (
            Some(1_700_864_000),
            Level::Action,
            "ends on 2023-11-24, in 10 days",
        ),
        (Some(1_600_000_000), Level::Action, "ended on 2020-09-13"),
        (None, Level::Action, "no certificates"),
    ] {
        check(
            text,
            &[judge_certificate("a", ends, now_s)],
            ("certificates", level, text),
        );
    }
}
