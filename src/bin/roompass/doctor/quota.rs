//! Compares `ReservedConcurrency` in samconfig.toml with the account's quota. Lambda keeps [`UNRESERVED`] of the quota for
//! functions without a reservation, and new accounts often have less than that in all.

use serde_json::Value;

use super::report::Entry;

/// The result for the text of samconfig.toml, and for the output of `aws lambda get-account-settings` if it's given. None if
/// nothing is reserved.
pub(super) fn check(samconfig: &str, account: Option<&Value>) -> Option<Entry> {
    let reserved = reserved(&samconfig.parse().ok()?).filter(|reserved| *reserved > 0)?;
    let Some(account) = account else {
        return Some(Entry::Skipped(format!(
            "ReservedConcurrency is {reserved} in samconfig.toml. To compare it with the account's quota: `aws lambda \
             get-account-settings > account.json`, and --account-settings account.json"
        )));
    };
    let Some(quota) = account.pointer("/AccountLimit/ConcurrentExecutions").and_then(Value::as_u64) else {
        return Some(Entry::Skipped(
            "the account's quota: --account-settings has no AccountLimit.ConcurrentExecutions, as `aws lambda \
             get-account-settings` prints it"
                .to_owned(),
        ));
    };
    if reserved.saturating_add(UNRESERVED) <= quota {
        return Some(Entry::Fine(format!(
            "ReservedConcurrency {reserved}: within the account's quota of {quota}"
        )));
    }
    Some(Entry::found(
        format!("ReservedConcurrency {reserved}: too high for the account's quota of {quota}"),
        format!(
            "A deployment fails, because Lambda keeps {UNRESERVED} of the quota for functions without a reservation."
        ),
        "Deploy with a smaller ReservedConcurrency, or request a higher quota: Service Quotas, AWS Lambda, Concurrent \
         executions.",
    ))
}

/// The parameter in any environment of samconfig.toml: `parameter_overrides` is a string or a list.
fn reserved(samconfig: &toml::Table) -> Option<u64> {
    let tables = samconfig.values().filter_map(toml::Value::as_table);
    let commands = tables.flat_map(|environment| environment.values());
    let overrides = commands.filter_map(|command| command.get("parameters")?.get("parameter_overrides"));
    let texts = overrides.flat_map(|overrides| match overrides {
        toml::Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        toml::Value::Array(items) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    });
    texts
        .filter_map(|text| text.strip_prefix("ReservedConcurrency=")?.trim_matches(['"', '\\']).parse().ok())
        .max()
}

/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>.
const UNRESERVED: u64 = 100;

#[cfg(test)]
mod tests {
    #[test]
    fn the_reservation_is_read_as_sam_writes_it() {
        let reserved = |overrides: &str| {
            let text =
                format!("version = 0.1\n[default.deploy.parameters]\nparameter_overrides = {overrides}\n");
            super::reserved(&text.parse().unwrap())
        };
        assert_eq!(reserved(r#""SecretArn=\"arn\" ReservedConcurrency=\"50\"""#), Some(50));
        assert_eq!(reserved(r#"["ReservedConcurrency=20", "Memory=128"]"#), Some(20));
        assert_eq!(reserved(r#""SecretArn=arn""#), None);
    }
}
