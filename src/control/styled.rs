//! JSON as Flexisip's control socket writes it: tabs, sorted keys, ` : ` between key and value, arrays and objects on lines of
//! their own. Programs compare it byte for byte.

use serde_json::Value;
use std::fmt::Write as _;

/// The text, without a line end after it.
pub(super) fn styled(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, false, &mut out);
    out
}

/// `after_key`: what begins on a line of its own has to begin one.
fn write(value: &Value, depth: usize, after_key: bool, out: &mut String) {
    match value {
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => {
            open('[', depth, after_key, out);
            for (at, item) in items.iter().enumerate() {
                line(depth + 1, out);
                write(item, depth + 1, false, out);
                comma(at, items.len(), out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(fields) if fields.is_empty() => out.push_str("{}"),
        Value::Object(fields) => {
            open('{', depth, after_key, out);
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_bytes());
            for (at, (name, field)) in sorted.iter().enumerate() {
                line(depth + 1, out);
                string(name, out);
                out.push_str(" : ");
                write(field, depth + 1, true, out);
                comma(at, fields.len(), out);
            }
            line(depth, out);
            out.push('}');
        }
        Value::String(text) => string(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

fn open(bracket: char, depth: usize, after_key: bool, out: &mut String) {
    if after_key {
        line(depth, out);
    }
    out.push(bracket);
}

fn line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n('\t', depth));
}

fn comma(at: usize, of: usize, out: &mut String) {
    if at + 1 < of {
        out.push(',');
    }
}

/// In ASCII: all else as UTF-16 in hexadecimal.
fn string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(letter),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    // Into a String there is no failure.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_laid_out_as_flexisip_does() {
        let value = json!({"providers": [
            {"name": "provider1", "accounts": [
                {"status": "OK", "address": "sip:account1@some.provider.example.com", "registerEnabled": true, "freeSlots": 491},
                {"status": "Registration failed: Bad credentials", "address": "sip:account2@some.provider.example.com"}]},
            {"name": "empty", "accounts": []}]});
        let expected = "{\n\t\"providers\" : \n\t[\n\t\t{\n\t\t\t\"accounts\" : \n\t\t\t[\n\t\t\t\t{\n\
                        \t\t\t\t\t\"address\" : \"sip:account1@some.provider.example.com\",\n\
                        \t\t\t\t\t\"freeSlots\" : 491,\n\
                        \t\t\t\t\t\"registerEnabled\" : true,\n\
                        \t\t\t\t\t\"status\" : \"OK\"\n\t\t\t\t},\n\t\t\t\t{\n\
                        \t\t\t\t\t\"address\" : \"sip:account2@some.provider.example.com\",\n\
                        \t\t\t\t\t\"status\" : \"Registration failed: Bad credentials\"\n\t\t\t\t}\n\t\t\t],\n\
                        \t\t\t\"name\" : \"provider1\"\n\t\t},\n\t\t{\n\
                        \t\t\t\"accounts\" : [],\n\t\t\t\"name\" : \"empty\"\n\t\t}\n\t]\n}";
        assert_eq!(styled(&value), expected);
    }

    #[test]
    fn texts_are_ascii_and_read_back_as_they_were() {
        for text in ["", "plain", "\"q\" \\ /", "\u{1}\u{7f}\n\t", "é€", "🕊"] {
            let out = styled(&json!(text));
            assert!(out.is_ascii(), "{out}");
            assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!(text));
        }
        assert_eq!(styled(&json!("🕊")), "\"\\ud83d\\udd4a\"");
        assert_eq!(styled(&json!({})), "{}");
    }
}
