use super::read;
use crate::input::{Error, Member, NAME, Rule, Shape, Unknown, optional, required};

const INNER: &[Member] = &[required("a", Shape::Text(NAME))];
const MEMBERS: &[Member] = &[
    required("a", Shape::Text(NAME)),
    optional("b", Shape::Flag),
    optional("n", Shape::Whole(1, 100)),
    optional("r", Shape::Real),
    optional("w", Shape::Time),
    optional(
        "l",
        Shape::List(&Shape::Text(Rule::OneOf(&["X", "Y"])), 1, 2),
    ),
    optional("m", Shape::List(&Shape::Structure(INNER), 0, 2)),
    optional("t", Shape::Tags),
    optional("s", Shape::Structure(INNER)),
    optional("o", Shape::Object),
];

/// Reads one of everything; `Ok` is what is left of it, `Err` a part of what is wrong.
fn check(body: &str, expected: Result<&str, &str>) {
    match (read(body.as_bytes(), MEMBERS, Unknown::Ignored), expected) {
        (Ok(read), Ok(left)) => {
            assert_eq!(serde_json::Value::Object(read).to_string(), left, "{body}");
        }
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{body}: {error}"),
        (got, _) => panic!("{body}: {got:?}"),
    }
}

#[test]
fn types_come_before_rules() {
    check(r#"{"a":"","z":1}"#, Ok(r#"{"a":""}"#));
    let all = r#"{"a":"x","b":true,"l":["X"],"m":[{"a":""}],"n":100,"o":{"p":[1]},"r":0.5,"s":{"a":"y"},"t":{"k":"v"},"w":"2026-01-02T03:04:05Z"}"#;
    check(all, Ok(all));
    check(
        r#"{"a":"x","b":null,"n":null,"l":null,"t":null,"s":null}"#,
        Ok(r#"{"a":"x"}"#),
    );
    #[rustfmt::skip]
    let wrong = [
        ("", "a is missing"),
        ("{", "the body is not JSON (line 1, column 1)"),
        ("[]", "the body must be an object, not an array"),
        (r#"["x"]"#, "the body must be an object, not an array"),
        (r#"{"a":"x","a":"x"}"#, "'a' is there twice"),
        (r#"{"a":"x","t":{"k":"1","k":"2"}}"#, "'k' is there twice"),
        (r#"{"a":1}"#, "a must be a string, not a number"),
        (r#"{"a":"x y","n":"1"}"#, "n must be a whole number, not a string"),
        (r#"{"a":"x","n":1.5}"#, "n must be a whole number"),
        (r#"{"a":"x","b":"true"}"#, "b must be true or false"),
        (r#"{"a":"x","l":[1]}"#, "l must be a string"),
        (r#"{"a":"x","l":"X"}"#, "l must be an array"),
        (r#"{"a":"x","m":[[]]}"#, "m.1.member must be an object"),
        (r#"{"a":"x","m":[null]}"#, "m.1.member must be an object, not null"),
        (r#"{"a":"x","m":[{"a":"x"},{"a":" "}]}"#, "m.2.member.a must satisfy regular expression"),
        (r#"{"a":"x","t":{"k":1}}"#, "t must be a string"),
        (r#"{"a":"x","t":[]}"#, "t must be an object"),
        (r#"{"a":"x","s":true}"#, "s must be an object, not true"),
        (r#"{"a":"x","s":["y"]}"#, "s must be an object, not an array"),
        (r#"{"a":"x","r":"1"}"#, "r must be a number"),
        (r#"{"a":"x","w":"yesterday"}"#, "w must be a time"),
        (r#"{"a":"x","o":[]}"#, "o must be an object"),
        (r#"{"a":"x y"}"#, "a must satisfy regular expression pattern: ^[a-zA-Z0-9-_]*$"),
        (r#"{"a":"x","n":0}"#, "n must have value greater than or equal to 1"),
        (r#"{"a":"x","n":-9}"#, "n must have value greater than or equal to 1"),
        (r#"{"a":"x","n":18446744073709551615}"#, "less than or equal to 100"),
        (r#"{"a":"x","l":[]}"#, "l must have length greater than or equal to 1"),
        (r#"{"a":"x","l":["X","X","X"]}"#, "length less than or equal to 2"),
        (r#"{"a":"x","l":["Z"]}"#, "l must satisfy constraint: [Member must satisfy enum value set: [X, Y]]"),
        (r#"{"a":"x","t":{"":"v"}}"#, "Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member"),
        (r#"{"a":"x","t":{"k":"*"}}"#, "Map value must satisfy"),
        (r#"{"a":"x","t":{"AWS:k":""}}"#, "must not begin with aws:"),
        (r#"{"a":"x","s":{"a":"*"}}"#, "s.a must"),
        (r#"{"n":0}"#, "a is missing; n must have value"),
    ];
    for (body, part) in wrong {
        check(body, Err(part));
    }
}

#[test]
fn unknown_members_are_refused_where_they_are_a_mistake() {
    let body = br#"{"a":"x","s":{"a":"y","b":1},"z":1}"#;
    assert!(read(body, MEMBERS, Unknown::Ignored).is_ok());
    let refused = read(body, MEMBERS, Unknown::Refused);
    let text = refused.err().map(|error: Error| error.to_string());
    assert_eq!(
        text.as_deref(),
        Some(
            "there is no member 's.b', only a; there is no member 'z', only a, b, n, r, w, l, m, t, s, o"
        )
    );
}
