//! An issuer of tokens as there are in the world: real keys, and a real server on the loopback that shows them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A key that signs tokens, with one algorithm unless a test passes another.
pub(crate) struct Key {
    id: &'static str,
    algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    /// A new key for an algorithm.
    pub(crate) fn new(id: &'static str, algorithm: &'static str) -> Self {
        let pair = match algorithm {
            "ES256" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "ES384" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            "EdDSA" => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        };
        Self { id, algorithm, pair }
    }

    /// Its public half, as a key set shows it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({"kty": "RSA", "n": encoded(n.big_endian_without_leading_zero()),
                       "e": encoded(e.big_endian_without_leading_zero())})
            }
            Pair::Ec(pair) => {
                // An uncompressed point: a four, x, and y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                let curve = if self.algorithm == "ES256" { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = self.id.into();
        jwk
    }

    /// The public half of an RSA key in every form that could be confused with a shared secret.
    pub(crate) fn public_forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let Pair::Rsa(pair) = &self.pair else { panic!("only RSA keys are confused so") };
        let der = pair.public_key().as_der().unwrap().as_ref().to_vec();
        let lines = BASE64_STANDARD.encode(&der).into_bytes();
        let lines: Vec<_> = lines.chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
        let jwk = self.jwk();
        let modulus = jwk["n"].as_str().unwrap();
        vec![
            ("its PEM", pem.clone().into()),
            ("its PEM and a newline", format!("{pem}\n").into()),
            ("its DER", der),
            ("its PKCS #1 DER", pair.public_key().as_ref().to_vec()),
            ("its modulus", BASE64_URL_SAFE_NO_PAD.decode(modulus).unwrap()),
            ("its modulus in base64url", modulus.into()),
            ("its JWK", jwk.to_string().into()),
            ("nothing", Vec::new()),
        ]
    }

    /// An ordinary token.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(json!({}), claims)
    }

    /// A token with more in its header, or other than usual. What is null there is left out.
    #[expect(clippy::needless_pass_by_value, reason = "the tables of attacks read better with it")]
    pub(crate) fn token_with(&self, more: Value, claims: &Value) -> String {
        let mut header = json!({"alg": self.algorithm, "kid": self.id, "typ": "JWT"});
        let members = header.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A token of these very texts.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        compact(header, claims, |message| self.sign(self.algorithm, message))
    }

    /// A token that is signed with this algorithm and names it in its header, also where the key is for another.
    pub(crate) fn token_by(&self, algorithm: &str, claims: &Value) -> String {
        let header = json!({"alg": algorithm, "kid": self.id}).to_string();
        compact(&header, &claims.to_string(), |message| self.sign(algorithm, message))
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token whose header and claims are these texts.
pub(crate) fn compact(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", encoded(header.as_bytes()), encoded(claims.as_bytes()));
    let signature = encoded(&sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A signature with a shared secret.
pub(crate) fn hs256(secret: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    move |message| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer that listens.
pub(crate) struct Issuer {
    pub(crate) url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    configuration: Mutex<Value>,
    keys: Mutex<Keys>,
    asked: Mutex<Vec<String>>,
}

/// An issuer's response to a request for its keys.
#[derive(Clone)]
pub(crate) enum Keys {
    Set(Value),
    Answer(StatusCode, String),
    Redirect(String),
    Late(Value),
}

impl Default for Keys {
    fn default() -> Self {
        Self::Set(json!({"keys": []}))
    }
}

impl Issuer {
    /// An issuer with these keys.
    pub(crate) async fn with(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        *shared.configuration.lock().unwrap() = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { url, shared, serving };
        issuer.shows(set(keys));
        issuer
    }

    /// From now on it answers so.
    pub(crate) fn shows(&self, keys: Keys) {
        *self.shared.keys.lock().unwrap() = keys;
    }

    /// Changes its OpenID configuration.
    pub(crate) fn is_configured(&self, configuration: Value) {
        *self.shared.configuration.lock().unwrap() = configuration;
    }

    /// From now on nothing listens there.
    pub(crate) async fn ends(&mut self) {
        self.serving.abort();
        assert!((&mut self.serving).await.unwrap_err().is_cancelled());
    }

    /// Every path that was requested.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How often its keys were requested.
    pub(crate) fn fetches(&self) -> usize {
        self.asked().iter().filter(|path| *path == "/keys").count()
    }

    /// Waits until its keys are requested a second time, ten seconds at most.
    pub(crate) async fn is_asked_again(&self) {
        let asked = async {
            while self.fetches() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("it's asked again");
    }

    /// The claims of a valid token of this issuer.
    pub(crate) fn claims(&self) -> Value {
        json!({"iss": self.url, "aud": "calls", "sub": "ada", "exp": 4_000_000_000_u64})
    }
}

/// A key set with these keys.
pub(crate) fn set(keys: &[&Key]) -> Keys {
    Keys::Set(json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    shared.asked.lock().unwrap().push(path.clone());
    if path == "/.well-known/openid-configuration" {
        return shared.configuration.lock().unwrap().to_string().into_response();
    }
    let keys = shared.keys.lock().unwrap().clone();
    match keys {
        Keys::Set(set) => set.to_string().into_response(),
        Keys::Answer(status, body) => (status, body).into_response(),
        Keys::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Keys::Late(set) => {
            std::future::pending::<()>().await;
            set.to_string().into_response()
        }
    }
}
