//! Who wins, what is in force, and what a crash between two records leaves.

use std::fmt::Write as _;

use super::*;
use crate::config::parse;

fn arn(id: &str) -> ChannelArn {
    let text = format!("arn:aws:ivs:us-west-2:000000000000:channel/{id}");
    text.parse().expect("an ARN")
}

/// Settings whose file lists these, alias and id.
fn settings(limits: &str, file: &[(&str, &str)]) -> Settings {
    let mut text = format!("[upstream]\nmode = \"aws\"\n[limits]\n{limits}\n");
    for (name, id) in file {
        let arn = arn(id);
        let _ = write!(text, "[[channel]]\nname = {name:?}\narn = \"{arn}\"\n");
    }
    let none: [(String, String); 0] = [];
    parse(Some(("test", &text)), none).unwrap_or_else(|errors| panic!("{errors}"))
}

fn definition(alias: &str, id: &str, number: u64, revision: u64) -> Arc<Definition> {
    Arc::new(Definition {
        alias: alias.into(),
        number,
        revision,
        settings: format!(r#"{{"arn":"{}"}}"#, arn(id)).into(),
    })
}

fn make(definitions: &mut Definitions, alias: &str, id: &str) {
    let text = format!(r#"{{"arn":"{}"}}"#, arn(id));
    definitions.check(alias, &arn(id)).expect("no conflict");
    let definition = definitions.draft(alias, text);
    definitions.put(arn(id), Arc::new(definition));
}

/// The aliases in force, with `*` those that have no label of their own; and those that give way.
fn in_force(definitions: &mut Definitions, settings: &Settings) -> (String, String) {
    definitions.set_file(&settings.channels);
    let all = definitions.everything(settings);
    assert_eq!(all.failed, []);
    let names = all.listed.iter().map(|it| {
        let star = if it.listing.labelled { "" } else { "*" };
        format!("{}{star}", it.listing.alias)
    });
    (names.collect::<Vec<_>>().join(" "), all.shadowed.join(" "))
}

#[test]
fn the_file_wins_for_as_long_as_it_lists_it() {
    let mut definitions = Definitions::default();
    let empty = settings("", &[]);
    definitions.set_file(&empty.channels);
    for (alias, id) in [("z", "1"), ("a", "2"), ("b", "3")] {
        make(&mut definitions, alias, id);
    }
    for (file, listed, shadowed) in [
        (&[][..], "z a b", ""),
        (&[("f", "9")], "f z a b", ""),
        // The alias, the ARN, both.
        (&[("a", "9")], "a z b", "a"),
        (&[("f", "2")], "f z b", "a"),
        (&[("a", "2")], "a z b", "a"),
        (&[("b", "2")], "b z", "a b"),
        (&[], "z a b", ""),
    ] {
        let found = in_force(&mut definitions, &settings("", file));
        assert_eq!(found, (listed.to_owned(), shadowed.to_owned()), "{file:?}");
    }
}

#[test]
fn conflicts() {
    let mut definitions = Definitions::default();
    definitions.set_file(&settings("", &[("f", "9")]).channels);
    make(&mut definitions, "a", "1");
    for (alias, id, expected) in [
        ("b", "2", Ok(())),
        ("a", "1", Ok(())),
        ("a", "2", Ok(())),
        ("f", "2", Err(Conflict::AliasInFile)),
        ("f", "9", Err(Conflict::AliasInFile)),
        ("b", "9", Err(Conflict::ArnInFile("f".into()))),
        ("b", "1", Err(Conflict::ArnTaken("a".into()))),
    ] {
        assert_eq!(definitions.check(alias, &arn(id)), expected, "{alias} {id}");
    }
    // A moved one leaves its ARN to others.
    let moved = Arc::new(definitions.draft("a", "{}".to_owned()));
    assert_eq!(definitions.put(arn("2"), moved), Some(arn("1")));
    assert_eq!(definitions.check("b", &arn("1")), Ok(()));
    definitions.remove("a");
    assert_eq!(definitions.check("b", &arn("2")), Ok(()));
    assert!(definitions.made("a").is_none());
}

/// Both records are there after a crash between them, in any order.
#[test]
fn of_two_records_of_an_alias_the_later_counts() {
    let (old, new) = (("1", 4, 0), ("2", 4, 1));
    let (gone, again) = (("3", 4, 9), ("4", 5, 0));
    for (first, second, wins) in [
        (old, new, "2"),
        (new, old, "2"),
        (gone, again, "4"),
        (again, gone, "4"),
    ] {
        let mut definitions = Definitions::default();
        let kept = [first, second]
            .map(|(id, number, revision)| (arn(id), definition("a", id, number, revision)));
        let lost = definitions.recover(kept.into_iter());
        let (found, kept) = definitions.made("a").expect("one of them");
        assert_eq!(*found, arn(wins));
        let loser = if first.0 == wins { second.0 } else { first.0 };
        assert_eq!(lost, HashSet::from([arn(loser)]));
        assert_eq!(definitions.check("b", &arn(loser)), Ok(()));
        let next = definitions.draft("b", String::new());
        assert!(next.number > kept.number, "{next:?}");
        let changed = definitions.draft("a", String::new());
        assert!(changed.is_later(kept), "{changed:?}");
    }
}

#[test]
fn the_first_have_labels() {
    let mut definitions = Definitions::default();
    let two = settings(
        "channels_labelled = 2",
        &[("f", "9"), ("g", "8"), ("h", "7")],
    );
    for (alias, id) in [("c", "1"), ("a", "2"), ("b", "3")] {
        make(&mut definitions, alias, id);
    }
    let found = |definitions: &mut Definitions, settings| in_force(definitions, settings).0;
    // A map has no order: the file's are looked at apart.
    assert_eq!(found(&mut definitions, &two), "f g h c a b*");
    // A label that was given stays its alias's, though others were made first.
    definitions.remove("c");
    make(&mut definitions, "d", "4");
    assert_eq!(found(&mut definitions, &two), "f g h a b* d*");
    make(&mut definitions, "c", "1");
    assert_eq!(found(&mut definitions, &two), "f g h a b* d* c");
    let more = settings("channels_labelled = 3", &[]);
    assert_eq!(found(&mut definitions, &more), "a b d* c");
    let none = settings("channels_labelled = 0", &[]);
    assert_eq!(found(&mut Definitions::default(), &none), "");
}

/// What has faults under new defaults is told, and not in force.
#[test]
fn what_no_longer_fits_is_left_out() {
    let mut definitions = Definitions::default();
    let text = format!(r#"{{"arn":"{}","compress":"deflate"}}"#, arn("1"));
    let draft = Arc::new(definitions.draft("a", text));
    definitions.put(arn("1"), draft);
    let fits = settings("", &[]);
    assert_eq!(definitions.everything(&fits).listed.len(), 1);
    let mut defaults = (*fits.channel_defaults).clone();
    defaults.envelope = engine::Envelope::Raw;
    let raw = Settings {
        channel_defaults: Arc::new(defaults),
        ..fits
    };
    let all = definitions.everything(&raw);
    assert!(all.listed.is_empty());
    let told = all.failed[0].to_string();
    assert!(
        told.starts_with("channel a could not be opened: channel.compress:"),
        "{told}"
    );
}
