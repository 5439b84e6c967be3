//! The page of each identity provider, tried with tokens whose claims are those of the provider's documentation. A local
//! issuer signs them; everything else is as the page says.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::http::Method;
use regex::Regex;
use roompass::config::Config;
use serde_json::{Map, Value, json};

use crate::issuer::{Issuer, Key, compact, hs256};
use crate::support::{Answer, request, send, service_with};

/// A provider's tokens, for one `[[caller]]` block of its page.
struct Tokens {
    page: &'static str,
    /// The position of the block among the page's blocks with a caller.
    block: usize,
    algorithm: &'static str,
    /// The claims of the provider's documentation, without times.
    claims: Value,
    /// Claims among these that are only in the token if they are configured or requested, or for some users.
    optional: &'static [&'static str],
    /// Changed claims with which the token must be refused. A null removes a claim.
    refused: Vec<Value>,
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn providers() -> Vec<Tokens> {
    let tenant = "00000000-0000-0000-0000-00000000beef";
    let entra = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let pool = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE";
    let supabase = json!({
        "iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1", "sub": "123e4567-e89b-12d3-a456-426614174000",
        "aud": "authenticated", "email": "ada@example.com", "phone": "", "role": "authenticated", "aal": "aal1",
        "session_id": "7f8a1b0c-0000-4000-8000-000000000000", "is_anonymous": false,
        "app_metadata": {"provider": "google", "providers": ["google"]}, "user_metadata": {"name": "Ada"},
        "amr": [{"method": "oauth", "timestamp": 1_640_991_600}],
    });
    let refused_by_supabase = || {
        vec![
            json!({"role": "anon"}),
            json!({"aud": null}),
            json!({"iss": "https://other.supabase.co/auth/v1"}),
        ]
    };
    vec![
        Tokens {
            page: "apple",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://appleid.apple.com", "aud": "com.example.web", "sub": "001234.0123456789abcdef.1234",
                "nonce": "n", "nonce_supported": true, "email": "x@privaterelay.appleid.com",
                "email_verified": "true", "is_private_email": "true", "auth_time": 1_640_991_600, "c_hash": "c",
            }),
            optional: &["email", "email_verified", "is_private_email"],
            refused: vec![json!({"aud": "com.example.other"}), json!({"iss": "https://appleid.apple.com/"})],
        },
        Tokens {
            page: "auth0",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://example.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
                "aud": ["https://calls.example.com", "https://example.eu.auth0.com/userinfo"],
                "azp": "my_client_id", "scope": "openid profile email",
            }),
            optional: &[],
            refused: vec![json!({"aud": "my_client_id"}), json!({"iss": "https://example.eu.auth0.com"})],
        },
        Tokens {
            page: "clerk",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://clerk.example.com", "azp": "https://app.example.com", "sub": "user_123",
                "sid": "sess_123", "sts": "active", "v": 2, "fva": [7, -1], "jti": "a1b2", "pla": "u:free",
                "name": "Ada", "email": "ada@example.com",
                "o": {"id": "org_123", "rol": "admin", "slg": "acme"},
            }),
            optional: &["name", "email", "o"],
            refused: vec![
                json!({"azp": null}),
                json!({"azp": "https://other.example.com"}),
                json!({"aud": "calls", "azp": null}),
            ],
        },
        Tokens {
            page: "cognito",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": pool, "aud": "1example23456789", "token_use": "id", "sub": "aaaaaaaa-bbbb-cccc-dddd-example",
                "cognito:username": "ada", "cognito:groups": ["hosts"], "event_id": "e", "auth_time": 1_640_991_600,
                "email": "ada@example.com", "email_verified": true, "name": "Ada", "origin_jti": "o", "jti": "j",
            }),
            optional: &["cognito:groups", "email", "email_verified", "name"],
            refused: vec![
                json!({"aud": null, "client_id": "1example23456789", "token_use": "access"}),
                json!({"token_use": "access"}),
                json!({"aud": "2example23456789"}),
            ],
        },
        Tokens {
            page: "cognito",
            block: 1,
            algorithm: "RS256",
            claims: json!({
                "iss": pool, "client_id": "1example23456789", "token_use": "access", "username": "ada",
                "sub": "aaaaaaaa-bbbb-cccc-dddd-example", "device_key": "d", "cognito:groups": ["hosts"],
                "scope": "phone openid profile email", "auth_time": 1_640_991_600, "version": 2, "jti": "j",
                "origin_jti": "o", "event_id": "e",
            }),
            optional: &["cognito:groups", "device_key"],
            refused: vec![
                json!({"client_id": null, "aud": "1example23456789", "token_use": "id"}),
                json!({"token_use": "id"}),
                json!({"client_id": "2example23456789"}),
            ],
        },
        Tokens {
            page: "entra",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": entra, "aud": "00000000-0000-0000-0000-0000000ca115", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
                "oid": "00000000-0000-0000-66f3-3332eca7ea81", "tid": tenant, "ver": "2.0", "scp": "join profile",
                "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "azpacr": "0", "aio": "AXQAi/8IAAAA", "rh": "I",
                "uti": "u", "name": "Ada", "preferred_username": "ada@example.com", "email": "ada@example.com",
                "groups": ["00000000-0000-0000-0000-0000000000aa"], "roles": ["Host"],
            }),
            optional: &["name", "preferred_username", "email", "groups", "roles"],
            refused: vec![
                json!({"scp": null}),
                json!({"scp": "joiner"}),
                json!({"aud": "00000003-0000-0000-c000-000000000000"}),
                json!({"iss": "https://login.microsoftonline.com/00000000-0000-0000-0000-00000000cafe/v2.0"}),
            ],
        },
        Tokens {
            page: "entra",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": format!("https://sts.windows.net/{tenant}/"), "aud": "api://00000000-0000-0000-0000-0000000ca115",
                "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "oid": "00000000-0000-0000-66f3-3332eca7ea81",
                "tid": tenant, "ver": "1.0", "scp": "join", "acr": "1", "amr": ["pwd"], "appidacr": "0",
                "appid": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "unique_name": "ada@example.com",
            }),
            optional: &[],
            refused: vec![json!({"iss": "https://sts.windows.net/00000000-0000-0000-0000-00000000cafe/"})],
        },
        Tokens {
            page: "firebase",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://securetoken.google.com/my-project", "aud": "my-project", "sub": "qQ7Qz4fYlHVv",
                "user_id": "qQ7Qz4fYlHVv", "auth_time": 1_640_991_600, "name": "Ada", "picture": "https://a.example/p",
                "email": "ada@example.com", "email_verified": true,
                "firebase": {"identities": {"google.com": ["1"]}, "sign_in_provider": "google.com"},
            }),
            optional: &["name", "picture", "email", "email_verified"],
            refused: vec![
                json!({"aud": "other-project"}),
                json!({"aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"}),
                json!({"iss": "https://securetoken.google.com/other-project"}),
            ],
        },
        Tokens {
            page: "google",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://accounts.google.com", "aud": "1234567890-example.apps.googleusercontent.com",
                "azp": "1234567890-example.apps.googleusercontent.com", "sub": "110169484474386276334",
                "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "example.com", "email": "ada@example.com",
                "email_verified": true, "name": "Ada", "picture": "https://a.example/p",
            }),
            optional: &["hd", "email", "email_verified", "name", "picture"],
            refused: vec![
                json!({"aud": "other.apps.googleusercontent.com"}),
                json!({"iss": "https://accounts.google.com/"}),
            ],
        },
        Tokens {
            page: "google",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "accounts.google.com", "aud": "1234567890-example.apps.googleusercontent.com",
                "azp": "1234567890-example.apps.googleusercontent.com", "sub": "110169484474386276334",
            }),
            optional: &[],
            refused: vec![json!({"iss": "google.com"})],
        },
        Tokens {
            page: "keycloak",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://id.example.com/realms/main", "aud": ["roompass", "account"], "typ": "Bearer",
                "sub": "f3a2b1c0-0000-4000-8000-000000000000", "azp": "web", "sid": "s", "acr": "1", "jti": "j",
                "allowed-origins": ["https://app.example.com"], "scope": "openid profile email",
                "realm_access": {"roles": ["host", "offline_access"]},
                "resource_access": {"calls": {"roles": ["host"]}, "account": {"roles": ["view-profile"]}},
                "email_verified": true, "name": "Ada L", "preferred_username": "ada", "email": "ada@example.com",
                "groups": ["/hosts"],
            }),
            optional: &["groups"],
            refused: vec![json!({"aud": "account"}), json!({"typ": "ID"}), json!({"sub": null})],
        },
        Tokens {
            page: "okta",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://example.okta.com/oauth2/default", "aud": "api://default", "ver": 1,
                "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "cid": "0oab8eb55Kb9jdMIr0h7",
                "uid": "00u1yq0ptd", "scp": ["openid", "calls.join"], "sub": "ada@example.com",
                "auth_time": 1_640_991_600, "name": "Ada", "email": "ada@example.com", "groups": ["Hosts"],
            }),
            optional: &["name", "email", "groups"],
            refused: vec![
                json!({"iss": "https://example.okta.com"}),
                json!({"scp": ["openid"]}),
                json!({"aud": "0oab8eb55Kb9jdMIr0h7"}),
            ],
        },
        Tokens {
            page: "supabase",
            block: 0,
            algorithm: "ES256",
            claims: supabase.clone(),
            optional: &["user_metadata"],
            refused: refused_by_supabase(),
        },
        Tokens {
            page: "supabase",
            block: 0,
            algorithm: "HS256",
            claims: supabase,
            optional: &["user_metadata"],
            refused: refused_by_supabase(),
        },
        Tokens {
            page: "workos",
            block: 0,
            algorithm: "RS256",
            claims: json!({
                "iss": "https://api.workos.com", "aud": "calls", "sub": "user_01HBEQKA6K4QJAS93VPE39W1JT",
                "sid": "session_01HQSXZGF8FHF7A9ZZFCW4387R", "jti": "01HQSXZXPPFPKMDD32RKTFY6PV",
                "org_id": "org_01HRDMC6CM357W30QMHMQ96Q0S", "role": "admin", "roles": ["admin"],
                "permissions": ["calls:host"], "name": "Ada", "email": "ada@example.com",
            }),
            optional: &["org_id", "role", "roles", "permissions", "name", "email"],
            refused: vec![
                json!({"aud": null}),
                json!({"aud": "client_123456789"}),
                json!({"iss": "https://api.workos.com/"}),
            ],
        },
    ]
}

/// The shared secret of a page that has one.
const SECRET: &str = "a shared secret of thirty-two bytes";

#[tokio::test]
async fn the_lines_of_each_page_accept_the_tokens_of_its_provider() {
    for provider in providers() {
        let key = Key::new("k", if provider.algorithm == "ES256" { "ES256" } else { "RS256" });
        let (issuer, service) = serve(&provider, &key).await;
        let sign = |claims: &Value| {
            let mut claims = claims.clone();
            claims["iat"] = 1_640_991_600.into();
            claims["exp"] = 4_000_000_000_u64.into();
            if provider.algorithm == "HS256" {
                return compact(
                    r#"{"alg":"HS256","typ":"JWT"}"#,
                    &claims.to_string(),
                    hs256(SECRET.as_bytes()),
                );
            }
            key.token(&claims)
        };
        let mut required = provider.claims.clone();
        required.as_object_mut().unwrap().retain(|claim, _| !provider.optional.contains(&claim.as_str()));
        for claims in [&provider.claims, &required] {
            let answer = post(&service, &sign(claims)).await;
            let text = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status, 201, "{}: {claims}: {text}", provider.page);
            assert_eq!(answer.claims()["sub"], format!("user:{}", claims["sub"].as_str().unwrap()));
        }
        for changes in &provider.refused {
            let mut claims = provider.claims.clone();
            let members = claims.as_object_mut().unwrap();
            members.extend(changes.as_object().unwrap().clone());
            members.retain(|_, value| !value.is_null());
            let answer = post(&service, &sign(&claims)).await;
            assert_eq!(answer.status, 401, "{}: {changes}", provider.page);
            answer.refused(401, "invalid_credential");
        }
        assert!(issuer.asked().iter().all(|path| path == "/keys"), "{}: {:?}", provider.page, issuer.asked());
    }
}

#[test]
fn each_page_has_its_tokens_here_and_says_which_values_they_lack() {
    let providers = providers();
    for page in pages() {
        let of_page: Vec<_> = providers.iter().filter(|provider| provider.page == page).collect();
        assert!(!of_page.is_empty(), "{page} has no token");
        let section = text(&page);
        let section = section.split("## Name, email and groups\n").nth(1).expect(&page);
        let section = section.split("\n## ").next().unwrap();
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| Value"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["name", "email", "groups"], "{page}");
        for row in rows {
            for (availability, provider) in row[2..].iter().zip(&of_page) {
                let what = format!("{page}: {} is in the token: {availability}", row[0]);
                let claim = (row[1] != "none").then(|| row[1].trim_matches('`'));
                let path: Vec<_> = claim.unwrap_or_default().split('.').collect();
                let in_sample = path.iter().try_fold(&provider.claims, |value, name| value.get(name));
                let is_optional = provider.optional.contains(&path[0]);
                match (availability.split([' ', ',', ':', ';']).next(), claim) {
                    (Some("always"), Some(_)) => assert!(in_sample.is_some() && !is_optional, "{what}"),
                    (Some("only" | "if"), Some(_)) => assert!(in_sample.is_some() && is_optional, "{what}"),
                    (Some("no"), _) => assert!(in_sample.is_none(), "{what}"),
                    _ => panic!("{what}"),
                }
            }
        }
    }
}

#[test]
fn each_condition_of_a_page_holds_for_its_tokens() {
    let condition = Regex::new(r"`(when = \{.*?\})`").unwrap();
    let required = Regex::new(r"`(required_claims = \{.*?\})`").unwrap();
    let in_file = Regex::new(r"(?m)^required_claims = .*\n").unwrap();
    let mut conditions = 0;
    for page in pages() {
        for found in required.captures_iter(&text(&page)) {
            let caller = in_file.replace(&blocks(&page)[0], "").into_owned() + &found[1];
            let config = Config::parse(&caller, "x.toml").unwrap();
            let provider = providers().into_iter().find(|provider| provider.page == page).unwrap();
            let claims = with_claims_of_pages(&provider.claims);
            let checked = roompass::auth::check_claims(&config.callers[0], &claims, 1_640_991_600);
            assert_eq!(checked, Ok(()), "{page}: {}", &found[1]);
            conditions += 1;
        }
        for found in condition.captures_iter(&text(&page)) {
            let rule = format!(
                "[[rule]]\nname = \"r\"\ncallers = {}\nrooms = [\"*\"]\nidentity = \"{{sub}}\"\n{}\n",
                callers(&blocks(&page)[0]),
                &found[1]
            );
            let config = Config::parse(&(blocks(&page)[0].clone() + &rule), "x.toml").unwrap();
            let provider = providers().into_iter().find(|provider| provider.page == page).unwrap();
            let caller = roompass::auth::Caller {
                claims: with_claims_of_pages(&provider.claims),
                ..roompass::auth::Caller::anonymous("app")
            };
            let unmet = config.policy.rules()[0].when.first_unmet(&caller, None);
            assert!(unmet.is_none(), "{page}: {}", &found[1]);
            conditions += 1;
        }
    }
    assert!(conditions > 8, "{conditions}");
}

/// The claims, and those that the pages' conditions add to a token.
fn with_claims_of_pages(claims: &Value) -> Map<String, Value> {
    let mut claims = claims.as_object().unwrap().clone();
    claims.insert("https://example.com/roles".into(), json!(["host"]));
    claims
}

/// The service of a page's own caller, with one rule. Only the URL of the keys is replaced.
async fn serve(provider: &Tokens, key: &Key) -> (Issuer, Router) {
    let issuer = Issuer::with(&[key]).await;
    let keys = format!("jwks_url = \"{}/keys\"", issuer.url);
    let caller = &blocks(provider.page)[provider.block];
    let url = Regex::new("jwks_url = \"[^\"]*\"").unwrap();
    let algorithms = Regex::new("(?m)^algorithms = .*$").unwrap();
    let config = if url.is_match(caller) {
        url.replace_all(caller, keys.as_str()).into_owned()
    } else {
        algorithms.replace_all(caller, format!("$0\n{keys}")).into_owned()
    };
    let rule = format!(
        "[[rule]]\nname = \"r\"\ncallers = {}\nrooms = [\"*\"]\nidentity = \"user:{{sub}}\"\n",
        callers(caller)
    );
    (issuer, service_with(&(config + &rule), &json!({ "SUPABASE_JWT_SECRET": SECRET })))
}

async fn post(service: &Router, token: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    send(service, request(Method::POST, "/getToken", &[("authorization", &authorization)], "")).await
}

/// The pages of identity providers.
fn pages() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> =
        files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    pages.retain(|page| !["api-gateway", "api-key"].contains(&page.as_str()));
    pages.sort();
    assert!(pages.len() >= 11, "{pages:?}");
    pages
}

/// The blocks of a page that have a caller.
fn blocks(page: &str) -> Vec<String> {
    let text = text(page);
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| block.contains("[[caller]]")).collect()
}

/// The names of a block's callers, as a list.
fn callers(block: &str) -> String {
    let name = Regex::new("(?m)^name = (\"[^\"]*\")").unwrap();
    let names: Vec<_> = name.captures_iter(block).map(|found| found[1].to_owned()).collect();
    format!("[{}]", names.join(", "))
}

fn text(page: &str) -> String {
    fs::read_to_string(folder().join(page).with_extension("md")).unwrap()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers")
}
