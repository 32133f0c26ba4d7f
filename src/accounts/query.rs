//! Queries as the configuration has them.

use super::Backend;

/// `query` for one row at most: to see whether it can be asked at all.
pub(super) fn one_row(query: &str) -> String {
    let query = query.trim_end().trim_end_matches(';').trim_end();
    format!("{query} LIMIT 1")
}

/// Puts the backend's own marks in the place of `:identifier`, and says how many values they take. What stands in quotes stays, and so
/// do casts (`::text`).
pub(super) fn marked(query: &str, backend: Backend) -> (String, usize) {
    const NAME: &str = ":identifier";
    let mut marked = String::with_capacity(query.len());
    let mut count = 0;
    let mut quote = None;
    let mut before = None;
    let mut rest = query;
    while let Some(letter) = rest.chars().next() {
        let after = rest.get(NAME.len()..);
        let ends = after.is_some_and(|after| {
            let next = after.chars().next();
            next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
        });
        if quote.is_none() && before != Some(':') && rest.starts_with(NAME) && ends {
            count += 1;
            marked.push_str(match backend {
                Backend::Postgres => "$1",
                Backend::Sqlite => "?1",
                Backend::MySql => "?",
            });
            before = None;
            rest = after.unwrap_or_default();
            continue;
        }
        match quote {
            Some(open) if letter == open => quote = None,
            None if ['\'', '"', '`'].contains(&letter) => quote = Some(letter),
            Some(_) | None => {}
        }
        marked.push(letter);
        before = Some(letter);
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    // PostgreSQL and SQLite number their marks: one value serves all.
    let values = if backend == Backend::MySql {
        count
    } else {
        count.min(1)
    };
    (marked, values)
}
