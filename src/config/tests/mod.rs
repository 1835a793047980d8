//! Tables of configurations and what is wrong with them; and what the right ones mean.

mod definition;
mod documents;
mod faults;
mod resolved;
mod sections;
mod shown;
mod sources;

use super::*;

const NO_ENV: [(&str, &str); 0] = [];
const LOCAL: &str = "[upstream]\nmode = \"local\"\n";
const ARN: &str = "arn:aws:ivs:us-west-2:123456789012:channel/a";

/// Asserts that `text` (after two lines that choose local mode) and `env` have exactly the
/// faults that begin as `expected` has them, in that order: `LINE: key: …` or
/// `VARIABLE: key: …`.
fn check(text: &str, env: &[(&str, &str)], expected: &[&str]) {
    check_whole(&format!("{LOCAL}{text}"), env, expected);
}

fn check_whole(text: &str, env: &[(&str, &str)], expected: &[&str]) {
    let result = parse(Some(("c.toml", text)), env.iter().copied());
    let faults: Vec<_> = match result {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    };
    let shown: Vec<_> = faults
        .iter()
        .map(|fault| fault.strip_prefix("c.toml:").unwrap_or(fault))
        .collect();
    let fits = shown.len() == expected.len()
        && shown
            .iter()
            .zip(expected)
            .all(|(fault, expected)| fault.starts_with(expected));
    assert!(
        fits,
        "in\n{text}\nwith {env:?}\nexpected {expected:#?}\nfound {shown:#?}"
    );
}

fn settings(text: &str, env: &[(&str, &str)]) -> Settings {
    match parse(
        Some(("c.toml", &format!("{LOCAL}{text}"))),
        env.iter().copied(),
    ) {
        Ok(settings) => settings,
        Err(errors) => panic!("{errors}"),
    }
}
