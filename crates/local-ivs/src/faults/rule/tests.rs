use super::super::{Faults, Plan, Verdict};
use super::{Raw, Rule, SplitMix64};
use std::time::Duration;

const CHANNEL: &str = "arn:aws:ivs:us-west-2:000000000000:channel/demo";

/// 10,000 plans of a latency rule: the median and the greatest of `before + after`, in
/// milliseconds, and whether any of it is on either side.
fn check(json: &str, median: std::ops::Range<f64>, most: f64, sides: (bool, bool)) {
    let faults = Faults::new(7);
    faults
        .add(json.as_bytes(), 0)
        .unwrap_or_else(|error| panic!("{json}: {error}"));
    let plans: Vec<Plan> = (0..10_000).map(|_| faults.plan(Some(CHANNEL), 0)).collect();
    let mut totals: Vec<f64> = plans
        .iter()
        .map(|plan| (plan.before + plan.after).as_secs_f64() * 1_000.0)
        .collect();
    totals.sort_by(f64::total_cmp);
    let (half, last) = (totals[totals.len() / 2], totals[totals.len() - 1]);
    assert!(median.contains(&half), "{json}: median {half}");
    assert!(last <= most + 0.001, "{json}: most {last}");
    let before = plans.iter().any(|plan| !plan.before.is_zero());
    let after = plans.iter().any(|plan| !plan.after.is_zero());
    assert_eq!((before, after), sides, "{json}");
    assert!(plans.iter().all(|plan| plan.verdict == Verdict::Handle));
}

#[test]
fn latencies_have_the_distribution_they_name() {
    check(
        r#"{"kind":"latency","latency":{"fixed_ms":20}}"#,
        19.999..20.001,
        20.0,
        (true, true),
    );
    check(
        r#"{"kind":"latency","when":"before","latency":{"uniform_ms":[10,50]}}"#,
        29.0..31.0,
        50.0,
        (true, false),
    );
    check(
        r#"{"kind":"latency","when":"after","latency":{"heavy_tail":{"median_ms":20,"p_stall":0.01,"stall_ms":3000}}}"#,
        19.0..21.5,
        3_000.0,
        (false, true),
    );
    check(
        r#"{"kind":"latency","latency":{"heavy_tail":{"median_ms":60000,"p_stall":0,"stall_ms":0}}}"#,
        57_000.0..60_001.0,
        60_000.0,
        (true, true),
    );
    check(
        r#"[{"kind":"latency","latency":{"fixed_ms":5}},{"kind":"latency","latency":{"fixed_ms":7}}]"#,
        11.999..12.001,
        12.0,
        (true, true),
    );
    check(
        r#"{"kind":"latency","probability":0,"latency":{"fixed_ms":5}}"#,
        0.0..0.1,
        0.0,
        (false, false),
    );
}

#[test]
fn rules_strike_as_often_as_they_say() {
    for probability in [0.0, 0.1, 0.5, 1.0] {
        let json = format!(r#"{{"kind":"reset","probability":{probability},"seed":3}}"#);
        let raw = Raw::read(json.as_bytes()).unwrap_or_default().remove(0);
        let mut rule = Rule::resolve(raw, 0, &mut SplitMix64::new(0))
            .unwrap_or_else(|error| panic!("{json}: {error}"));
        let hits = (0..10_000).filter(|_| rule.hits()).count();
        let expected = probability * 10_000.0;
        let difference = (f64::from(u32::try_from(hits).unwrap_or(u32::MAX)) - expected).abs();
        // Four standard deviations of 10,000 fair draws.
        assert!(difference <= 200.0, "{probability}: {hits}");
    }
}

#[test]
fn the_first_verdict_stands_and_latency_still_adds() {
    let faults = Faults::new(0);
    let rules = r#"[
        {"kind":"throttle","channel":"arn:aws:ivs:us-west-2:1:channel/other"},
        {"kind":"reply_lost"},
        {"kind":"hang"},
        {"kind":"latency","when":"before","latency":{"fixed_ms":20}}
    ]"#;
    faults
        .add(rules.as_bytes(), 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let expected = Plan {
        before: Duration::from_millis(20),
        after: Duration::ZERO,
        verdict: Verdict::ReplyLost,
    };
    assert_eq!(faults.plan(Some(CHANNEL), 0), expected);
    assert_eq!(faults.plan(None, 0), expected);
    assert_eq!(faults.injected().get("hang"), None);
    assert_eq!(faults.injected().get("latency"), Some(&2));
}

#[test]
fn there_is_a_bound_to_the_rules() {
    let faults = Faults::new(0);
    let many = format!("[{}]", vec![r#"{"kind":"hang"}"#; 1_000].join(","));
    assert!(faults.add(many.as_bytes(), 0).is_ok());
    let more = faults.add(br#"{"kind":"hang"}"#, 0).err();
    assert_eq!(more.as_deref(), Some("there can be at most 1000 rules"));
    faults.clear();
    assert!(faults.add(br#"{"kind":"hang"}"#, 0).is_ok());
}
