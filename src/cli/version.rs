//! `cuegate version`: which program this is, for a report of a fault.

use super::{Error, output};

/// Show the version, the commit and what is built in.
#[derive(clap::Args, Debug)]
pub struct Version {
    /// Print it as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is built in. There are no variants of the program: each build has all of it.
const FEATURES: [&str; 7] = [
    "aws", "console", "emulator", "journal", "jwt", "otlp", "tls",
];

/// What is said where nobody named the commit to the compiler.
const NO_COMMIT: &str = "unknown";

/// Prints it. `commit` is what the program was built from, where the build was told.
///
/// # Errors
/// The output cannot be written.
pub fn run(arguments: &Version, commit: Option<&str>) -> Result<(), Error> {
    let commit = commit
        .filter(|commit| !commit.is_empty())
        .unwrap_or(NO_COMMIT);
    let facts = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", commit),
        ("system", std::env::consts::OS),
        ("processor", std::env::consts::ARCH),
    ];
    if arguments.json {
        let mut object: serde_json::Map<_, _> = facts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        object.insert("features".to_owned(), FEATURES.to_vec().into());
        return Ok(output::line(
            &serde_json::Value::Object(object).to_string(),
        )?);
    }
    for (name, value) in facts {
        output::line(&format!("{name:<10} {value}"))?;
    }
    Ok(output::line(&format!(
        "{:<10} {}",
        "features",
        FEATURES.join(", ")
    ))?)
}
