//! Who may call, as `[[caller]]` says it, and who is calling.
//!
//! | module | its one job |
//! |---|---|
//! | `written` | one `[[caller]]`, and several beside each other |
//! | `issuer`, `via` | how a caller is authenticated: by an issuer's token, by API Gateway |
//! | `mistake` | what is wrong with a `[[caller]]` |
//! | `caller` | who is calling, once it's known |

#[expect(clippy::module_inception, reason = "it's what the module is named for")]
mod caller;
mod issuer;
mod mistake;
mod via;
mod written;

pub use caller::Caller;
pub use issuer::{Algorithm, Issuer, KeyPlace, safe_url};
pub use via::Via;
pub use written::{Authority, CallerConfig, CallerKind};
pub(crate) use written::{WrittenCaller, mistakes};
