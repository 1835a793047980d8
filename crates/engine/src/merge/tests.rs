//! Two events of one key as one: examples, and random numbers against an exact reference.

mod exact;

use super::*;

fn check(kind: Merge, earlier: &str, later: &str, expected: Option<&str>) {
    assert_eq!(validate(kind, earlier), Ok(()), "{earlier}");
    assert_eq!(validate(kind, later), Ok(()), "{later}");
    assert_eq!(
        merge(kind, earlier, later).as_deref(),
        expected,
        "{kind:?} {earlier} {later}"
    );
}

#[test]
fn numbers_are_exact() {
    check(Merge::Sum, "1", "2", Some("3"));
    check(Merge::Sum, "0.1", "0.2", Some("0.3"));
    check(Merge::Sum, "1.0", "1", Some("2.0"));
    check(
        Merge::Sum,
        "9223372036854775807",
        "1",
        Some("9223372036854775808"),
    );
    check(
        Merge::Sum,
        "123456789012345678901234567890",
        "1",
        Some("123456789012345678901234567891"),
    );
    check(
        Merge::Sum,
        "1e30",
        "1e-30",
        Some("1000000000000000000000000000000.000000000000000000000000000001"),
    );
    check(Merge::Sum, "-1.5", "1.5", Some("0.0"));
    check(Merge::Sum, "1e5", "-1e5", Some("0"));
    check(Merge::Sum, "20e1", "-2e2", Some("0"));
    check(Merge::Sum, "1.5e3", "-1.5e3", Some("0"));
    check(Merge::Sum, "0e9", "-0", Some("0"));
    check(Merge::Sum, "0e9", "0.0e2", Some("0"));
    check(Merge::Sum, "0e9", "0e-2", Some("0.00"));
    check(Merge::Sum, "1e5", "2e5", Some("300000"));
    check(Merge::Sum, "-1e2", "1e1", Some("-90"));
    check(Merge::Max, "1.0", "1", Some("1.0"));
    check(Merge::Max, "1e2", "99", Some("1e2"));
    check(Merge::Min, "1e2", "99.5", Some("99.5"));
    check(
        Merge::Max,
        "9007199254740993",
        "9007199254740992",
        Some("9007199254740993"),
    );
    check(Merge::Sum, "1", r#"{"a":1}"#, None);
    check(Merge::Max, r#"{"a":1}"#, "1", None);
}

#[test]
fn objects_merge_field_by_field() {
    check(
        Merge::Sum,
        r#"{"a":1,"b":2}"#,
        r#"{"b":3,"c":0.5}"#,
        Some(r#"{"a":1,"b":5,"c":0.5}"#),
    );
    check(Merge::Min, r#"{"a":1}"#, r#"{"a":-1}"#, Some(r#"{"a":-1}"#));
    check(
        Merge::Sum,
        r#"{"a":1e5,"b":2}"#,
        r#"{"a":-1e5}"#,
        Some(r#"{"a":0,"b":2}"#),
    );
    check(
        Merge::Sum,
        r#"{"\u0061":1}"#,
        r#"{"a":1}"#,
        Some(r#"{"a":2}"#),
    );
    check(Merge::Sum, "{}", r#"{"a\"":1}"#, Some(r#"{"a\"":1}"#));
}

#[test]
fn patches_compose() {
    check(
        Merge::Patch,
        r#"{"a":1,"b":null}"#,
        r#"{"b":2,"c":null}"#,
        Some(r#"{"a":1,"b":2,"c":null}"#),
    );
    check(
        Merge::Patch,
        r#"{"a":{"x":1}}"#,
        r#"{"a":{"y":null}}"#,
        Some(r#"{"a":{"x":1,"y":null}}"#),
    );
    check(Merge::Patch, r#"{"a":1}"#, r#"{"a":{"x":1}}"#, None);
    check(Merge::Patch, r#"{"a":null}"#, r#"{"a":{"x":1}}"#, None);
    check(Merge::Patch, "[1]", r#"{"a":1}"#, None);
    check(Merge::Patch, r#"{"a":1}"#, "[1]", Some("[1]"));
    check(
        Merge::Patch,
        r#"{"a":{"x":1}}"#,
        r#"{"a":2}"#,
        Some(r#"{"a":2}"#),
    );
    check(Merge::Patch, r#"{"a":1,"a":2}"#, r#"{"b":2}"#, None);
}

#[test]
fn what_cannot_merge_is_refused() {
    let refused = |data: &str| assert!(validate(Merge::Sum, data).is_err(), "{data}");
    let taken = |data: &str| assert!(validate(Merge::Sum, data).is_ok(), "{data}");
    for data in [
        "\"1\"",
        "null",
        "true",
        "[1]",
        r#"{"a":"1"}"#,
        r#"{"a":{}}"#,
        r#"{"a":1,"a":2}"#,
    ] {
        refused(data);
    }
    taken(&"1".repeat(30));
    refused(&"1".repeat(31));
    taken(&format!("-0.{}", "1".repeat(30)));
    refused(&format!("0.{}", "1".repeat(31)));
    taken("1e30");
    taken("1E-30");
    refused("1e31");
    refused("1e-31");
    refused("1e99999999999999999999");
}
