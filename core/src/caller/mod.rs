//! The callers of `roompass.toml`, and the caller of a request.
//!
//! | module | its one job |
//! |---|---|
//! | `written` | a `[[caller]]`, and checks across several |
//! | `issuer`, `via` | how a caller is authenticated: by an issuer's token, by API Gateway |
//! | `credential_header` | the header that has the credential |
//! | `issuer_names` | the names of an issuer |
//! | `mistake` | a mistake in a `[[caller]]` |
//! | `caller` | an authenticated caller |

#[expect(clippy::module_inception, reason = "the module is named after this type")]
mod caller;
mod credential_header;
mod issuer;
mod issuer_names;
mod mistake;
mod via;
mod written;

pub use caller::Caller;
pub use issuer::{Algorithm, Issuer, KeyPlace, safe_url};
pub use issuer_names::IssuerNames;
pub use via::Via;
pub use written::{CallerConfig, CallerKind};
pub(crate) use written::{WrittenCaller, mistakes};
