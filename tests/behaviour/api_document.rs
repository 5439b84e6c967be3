//! `docs/api.md` lists each code that a problem response can have, with its status and its title, and no other.

use std::collections::BTreeSet;

use roompass::http::PROBLEM_KINDS;

const API: &str = include_str!("../../docs/api.md");

#[test]
fn the_table_of_errors_lists_each_code_with_its_status_and_title() {
    let rows = API.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
        let [status, code, title, _, _] = cells.as_slice() else { return None };
        let status: u16 = status.parse().ok()?;
        Some((status, code.trim_matches('`').to_owned(), (*title).to_owned()))
    });
    let rows: Vec<_> = rows.collect();
    let kinds =
        PROBLEM_KINDS.iter().map(|kind| (kind.status.as_u16(), kind.code.to_owned(), kind.title.to_owned()));
    assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), kinds.collect());
    assert_eq!(rows.len(), PROBLEM_KINDS.len(), "no code is listed twice");
}
