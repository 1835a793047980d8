//! `completions` and `man`, and that every command has a text of its own.

use std::process::Command;

use crate::support::process::{Ended, command, run};

const COMMANDS: [&str; 19] = [
    "serve",
    "check-config",
    "send",
    "tail",
    "top",
    "load",
    "channels",
    "status",
    "pause",
    "resume",
    "purge",
    "cancel",
    "dead-letters",
    "doctor",
    "key",
    "journal",
    "completions",
    "man",
    "version",
];

fn of(arguments: &[&str]) -> Ended {
    run(command().args(arguments), "")
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = of(&["completions", shell]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{shell}");
        for name in COMMANDS {
            assert!(ended.out.contains(name), "{shell}: {name}");
        }
    }
    assert_eq!(of(&["completions", "nonsense"]).code, Some(2));
    // bash itself offers what begins so.
    let script = of(&["completions", "bash"]).out;
    let asked =
        "COMP_WORDS=(cuegate ca); COMP_CWORD=1; _cuegate cuegate ca cuegate; echo ${COMPREPLY[@]}";
    let mut bash = Command::new("bash");
    let ended = run(bash.args(["-c", &format!("{script}\n{asked}")]), "");
    assert_eq!(ended.out.trim(), "cancel", "{ended:?}");
}

#[test]
fn every_command_has_a_page_and_a_help() {
    let whole = of(&["man"]);
    assert_eq!((whole.code, whole.err.as_str()), (Some(0), ""));
    assert!(whole.out.contains(".TH cuegate 1"), "{}", whole.out);
    for name in COMMANDS {
        let written = name.replace('-', "\\-");
        assert!(whole.out.contains(&written), "{name}: {}", whole.out);
        let page = of(&["man", name]);
        assert_eq!(page.code, Some(0), "{page:?}");
        let title = format!(".TH cuegate-{name} 1");
        assert!(page.out.contains(&title), "{title}: {}", page.out);
        let help = of(&[name, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{name}");
        assert!(help.out.contains("Usage: cuegate"), "{help:?}");
    }
    let nested = of(&["man", "dead-letters", "replay"]);
    assert!(
        nested.out.contains(".TH cuegate-dead-letters-replay 1"),
        "{nested:?}"
    );
    let unknown = of(&["man", "nonsense"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""));
    assert!(unknown.err.contains("send"), "{unknown:?}");
}

/// As packages have them.
#[test]
fn every_page_is_written_to_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let to = directory.path().join("man1");
    let ended = of(&["man", "--to", to.to_str().expect("text")]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
    for name in COMMANDS.iter().chain(&["journal-export", "key-new"]) {
        let page = std::fs::read_to_string(to.join(format!("cuegate-{name}.1"))).expect(name);
        assert!(page.contains(&format!(".TH cuegate-{name} 1")), "{page}");
    }
    assert!(to.join("cuegate.1").exists());
    let mixed = of(&["man", "send", "--to", to.to_str().expect("text")]);
    assert_eq!(mixed.code, Some(2), "{mixed:?}");
}

#[test]
fn the_version_says_what_it_was_built_from() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(of(&["--version"]).out.trim(), format!("cuegate {version}"));
    let text = of(&["version"]);
    assert_eq!((text.code, text.err.as_str()), (Some(0), ""));
    let said: serde_json::Value =
        serde_json::from_str(&of(&["version", "--json"]).out).expect("JSON");
    assert_eq!(said["version"], version);
    let commit = said["commit"].as_str().expect("a text");
    assert!(!commit.is_empty());
    let features = said["features"].as_array().expect("a list");
    assert!(features.contains(&"tls".into()), "{said}");
    for what in [version, commit, "features", "tls"] {
        assert!(text.out.contains(what), "{what}: {}", text.out);
    }
}
