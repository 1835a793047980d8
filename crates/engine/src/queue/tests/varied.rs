//! Varied events of a live show, as `player/reference/events.py` has them: about 86 bytes each as
//! items of a payload.

use super::model::Random;
use super::*;

const NAMES: &str = "anna ben chloe dmitri elif fatima george hana ivan jun kemal lena mateo nora omar priya quinn rosa sam tariq uma vera wen yara";
const WORDS: &str = "which river runs through the city where was first song of album by who scored final goal in match what a nice shot hello from here love this show can you play it again please next round starts now good luck everyone best moment ever";

struct Show<'r>(&'r mut Random);

impl Show<'_> {
    fn number(&mut self, from: u64, to: u64) -> u64 {
        from + self.0.below(to - from)
    }

    fn one_of<'s>(&mut self, words: &'s str) -> &'s str {
        let words: Vec<&str> = words.split(' ').collect();
        words[usize::try_from(self.number(0, words.len() as u64)).expect("small")]
    }

    fn words(&mut self, few: u64, many: u64) -> String {
        let count = self.number(few, many + 1);
        let words: Vec<&str> = (0..count).map(|_| self.one_of(WORDS)).collect();
        words.join(" ")
    }

    fn user(&mut self) -> String {
        format!("{}{}", self.one_of(NAMES), self.number(0, 1000))
    }

    /// `0.` and so many digits.
    fn fraction(&mut self, digits: usize) -> String {
        let number = self.number(0, 10_u64.pow(u32::try_from(digits).expect("small")));
        format!("0.{number:0digits$}")
    }
}

/// What a program would send, with data of many shapes.
pub(super) fn varied_event(random: &mut Random) -> Event {
    let mut show = Show(random);
    let say = |kind: &str, data: String| event(&data).kind(kind);
    match show.number(0, 10) {
        0 => {
            let (id, text) = (show.number(0, 10_000), show.words(8, 14));
            let seconds = show.one_of("10 15 20");
            let data = format!(r#"{{"id":{id},"text":"{text}","seconds":{seconds}}}"#);
            say("quiz.question", data)
        }
        1 => {
            let (question, answer) = (show.number(0, 10_000), show.one_of("A B C D"));
            let (correct, share) = (show.one_of("true false"), show.fraction(3));
            say(
                "quiz.answer",
                format!(
                    r#"{{"question":{question},"answer":"{answer}","correct":{correct},"share":{share}}}"#
                ),
            )
        }
        2 => {
            let [a, b, c, d] = [0; 4].map(|_| show.number(0, 500));
            let poll = format!("poll-{}", show.number(0, 40));
            let data = format!(r#"{{"a":{a},"b":{b},"c":{c},"d":{d}}}"#);
            say("vote", data).key(&poll).merge(Merge::Sum)
        }
        3 => {
            let (user, text) = (show.user(), show.words(6, 12));
            let data = format!(r#"{{"user":"{user}","text":"{text}"}}"#);
            say("chat.message", data)
        }
        4 => {
            let (name, count) = (show.one_of("heart clap wow fire"), show.number(1, 4000));
            let (x, y) = (show.fraction(2), show.fraction(2));
            let data = format!(r#"{{"name":"{name}","count":{count},"x":{x},"y":{y}}}"#);
            say("reaction", data)
        }
        5 => {
            let teams = "lions tigers sharks eagles bears wolves";
            let (home, away) = (show.one_of(teams), show.one_of(teams));
            let [one, other] = [0; 2].map(|_| show.number(0, 9));
            let (minute, game) = (show.number(0, 95), show.number(0, 20));
            say("score", format!(
                r#"{{"home":"{home}","away":"{away}","score":[{one},{other}],"minute":{minute}}}"#
            )).key(&format!("match-{game}"))
        }
        6 => {
            let (sku, price) = (show.number(0, 1 << 32), show.number(100, 9999));
            let colour = show.one_of("red blue green black white yellow");
            let (stock, page) = (show.number(0, 900), show.number(0, 100_000));
            let (whole, cents) = (price / 100, price % 100);
            say(
                "product.show",
                format!(
                    r#"{{"sku":"{sku:08x}","price":{whole}.{cents:02},"color":"{colour}","stock":{stock},"url":"/p/{page}"}}"#
                ),
            )
        }
        7 => {
            let places: Vec<String> = (0..4)
                .map(|_| format!(r#"["{}",{}]"#, show.user(), show.number(0, 99_999)))
                .collect();
            say("leaderboard", format!("[{}]", places.join(","))).key("top")
        }
        8 => {
            let (action, overlay) = (show.one_of("show hide start stop"), show.one_of(NAMES));
            let (at, tenth) = (show.number(0, 9000), show.number(0, 10));
            let (duration, layer) = (show.number(0, 60), show.number(0, 4));
            say(
                "cue",
                format!(
                    r#"{{"action":"{action}","overlay":"{overlay}","at":{at}.{tenth},"duration":{duration},"layer":{layer}}}"#
                ),
            )
        }
        _ => {
            let (bid, lot) = (show.number(100, 1_000_000), show.number(0, 300));
            let data = bid.to_string();
            say("bid", data)
                .key(&format!("lot-{lot}"))
                .merge(Merge::Max)
        }
    }
}
