//! Reads one secret with the AWS SDK's default settings, and responds with its length to each request.

use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let id = std::env::var("ROOMPASS_SECRET_ID")?;
    let secret = Client::new(&config).get_secret_value().secret_id(id).send().await?;
    let length = secret.secret_string().ok_or("the secret has no text")?.len().to_string();
    lambda_http::run(service_fn(move |_: Request| {
        let length = length.clone();
        async move { Ok::<_, Error>(length) }
    }))
    .await
}
