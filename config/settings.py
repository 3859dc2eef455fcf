"""Django settings. Values come from the environment through `config.env`; README lists the variables."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from corsheaders.defaults import default_headers
from django.core.management.utils import get_random_secret_key

from accounts.clerk.origins import LOOPBACK_ORIGIN
from accounts.clerk.outgoing import VERSION
from accounts.clerk.profiles import IMAGE_HOSTS
from accounts.clerk.publishable import frontend_api
from accounts.conf import DEFAULTS, LIMITS
from config.env import Environment
from config.logging import logging_config
from config.values import comma_separated

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment.read(BASE_DIR / ".env")

# Django
DEBUG = env.flag("DJANGO_DEBUG")
SECRET_KEY = env.secret("DJANGO_SECRET_KEY")
if not SECRET_KEY:
    # A random key of this process alone, so that the checks can run and report the missing one.
    SECRET_KEY = get_random_secret_key()
    if not DEBUG:
        env.reject("DJANGO_SECRET_KEY", message="must be set outside debug: a long random text, kept secret")
ALLOWED_HOSTS = list(env.hosts("DJANGO_ALLOWED_HOSTS"))
ALLOW_SQLITE = env.flag("ALLOW_SQLITE")
# False leaves the addresses of the admin out of this process.
ADMIN_ENABLED = env.flag("DJANGO_ADMIN", default=True)

# The path below which a proxy serves this site; gunicorn reads the same variable and takes it off each path.
SCRIPT_NAME = env.prefix("SCRIPT_NAME")
FORCE_SCRIPT_NAME = SCRIPT_NAME or None

ROOT_URLCONF = "config.urls"
# For runserver alone: other servers name `config.wsgi`.
WSGI_APPLICATION = "config.development.application"
AUTH_USER_MODEL = "accounts.User"
# The users are the Clerk identities themselves; there are no separate accounts.
CLERK_IDENTITY_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.StaffBackend"]
# A redirect loses the body of a POST; the addresses of the API have no trailing slash.
APPEND_SLASH = False
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = logging_config(debug=DEBUG)

INSTALLED_APPS = [
    # Under runserver too, the middleware serves static files, so that they have request ids.
    "whitenoise.runserver_nostatic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "accounts",
    "api",
    "webhooks",
    "health",
    "config",  # its command `migrate` and its admin pages
]
if find_spec("devclerk"):
    # The production image does not contain it.
    INSTALLED_APPS.append("devclerk")

MIDDLEWARE = [
    "config.caching.NoStoreMiddleware",
    "api.middleware.RequestIDMiddleware",
    "health.middleware.ProbeMiddleware",
    "api.https.HTTPSRequiredMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.pages.PageHeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "accounts.login_limit.LoginLimitMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database
DATABASES = {"default": env.database("DATABASE_URL", default="sqlite:///db.sqlite3", root=BASE_DIR)}

# Staff sign in to the admin with a password; users of Clerk have none.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# Static files: whitenoise serves the output of collectstatic; in debug, or without it, files of the packages
STATIC_URL = f"{SCRIPT_NAME}/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG or not STATIC_ROOT.exists()

# HTTPS
HTTPS = env.flag("DJANGO_HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# The host of the API and its subdomains.
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# The owner of a domain decides: once browsers have it on their list, it takes months to remove it.
SECURE_HSTS_PRELOAD = HTTPS and env.flag("DJANGO_HSTS_PRELOAD")
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # recommends preload
# Trusted only with DJANGO_HTTPS, which promises that the proxy in front sets it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS

# Pages: the admin, Swagger UI and your own. Nothing from other hosts, except pictures of Clerk's users.
_POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "font-src": ["'self'"],
    "img-src": ["'self'", "data:", *IMAGE_HOSTS],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}
SECURE_CSP = _POLICY  # read by Django from 6.0 on
CONTENT_SECURITY_POLICY = {"DIRECTIVES": _POLICY}  # read by django-csp

# CORS: bearer tokens, no cookies
CORS_ALLOWED_ORIGINS = list(env.origins("CORS_ALLOWED_ORIGINS"))
# `accounts.conf` allows the same origins in `azp`.
CORS_ALLOWED_ORIGIN_REGEXES = [LOOPBACK_ORIGIN] if DEBUG else []
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_CREDENTIALS = False
# The last four carry the trace of a request: Sentry's and those of the W3C.
CORS_ALLOW_HEADERS = [
    *default_headers,
    "x-request-id",
    "sentry-trace",
    "baggage",
    "traceparent",
    "tracestate",
]
CORS_EXPOSE_HEADERS = ["Retry-After", "X-Request-ID", "WWW-Authenticate"]

# Clerk
CLERK_PUBLISHABLE_KEY = env.text("CLERK_PUBLISHABLE_KEY")
_frontend_api = frontend_api(CLERK_PUBLISHABLE_KEY)
CLERK_ISSUER = ",".join(env.urls("CLERK_ISSUER")) or _frontend_api
CLERK_JWKS_URL = env.url(
    "CLERK_JWKS_URL", default=f"{_frontend_api}/.well-known/jwks.json" if _frontend_api else ""
)
CLERK_JWT_KEY = env.secret("CLERK_JWT_KEY")
CLERK_SECRET_KEY = env.secret("CLERK_SECRET_KEY")
CLERK_API_URL = env.url("CLERK_API_URL", default=DEFAULTS["CLERK_API_URL"])
CLERK_WEBHOOK_SIGNING_SECRET = comma_separated(env.secret("CLERK_WEBHOOK_SIGNING_SECRET"))
CLERK_INSTANCE_ID = env.text("CLERK_INSTANCE_ID")
CLERK_AUTHORIZED_PARTIES: tuple[str, ...] | None = (
    env.comma_separated("CLERK_AUTHORIZED_PARTIES") if env.has("CLERK_AUTHORIZED_PARTIES") else None
)
CLERK_AUDIENCE = env.text("CLERK_AUDIENCE")
CLERK_CLOCK_SKEW_SECONDS = env.integer(
    "CLERK_CLOCK_SKEW_SECONDS",
    default=DEFAULTS["CLERK_CLOCK_SKEW_SECONDS"],
    **LIMITS["CLERK_CLOCK_SKEW_SECONDS"],
)
CLERK_ALLOW_MISSING_AZP = env.flag("CLERK_ALLOW_MISSING_AZP")
CLERK_ALLOW_TEMPLATE_TOKENS = env.flag("CLERK_ALLOW_TEMPLATE_TOKENS")
CLERK_ALLOW_PENDING_SESSIONS = env.flag("CLERK_ALLOW_PENDING_SESSIONS")
CLERK_ALLOW_IMPERSONATION = env.flag(
    "CLERK_ALLOW_IMPERSONATION", default=DEFAULTS["CLERK_ALLOW_IMPERSONATION"]
)
CLERK_CLAIMS = env.text("CLERK_CLAIMS", default=DEFAULTS["CLERK_CLAIMS"])
CLERK_EXTRA_FIELDS = env.comma_separated("CLERK_EXTRA_FIELDS")
CLERK_IGNORE_FOREIGN_TOKENS = env.flag(
    "CLERK_IGNORE_FOREIGN_TOKENS", default=DEFAULTS["CLERK_IGNORE_FOREIGN_TOKENS"]
)

# Audit log and limits of logins
CLIENT_ADDRESS_HEADER = env.header("CLIENT_ADDRESS_HEADER")

# Health
HEALTH_TOKEN = env.secret("HEALTH_TOKEN")
HEALTH_PORT = env.integer("HEALTH_PORT", default=0, low=1, high=65_535)  # 0: no listener
HEALTH_MISSED_WEBHOOK_MINUTES = env.number(
    "HEALTH_MISSED_WEBHOOK_MINUTES",
    default=DEFAULTS["HEALTH_MISSED_WEBHOOK_MINUTES"],
    **LIMITS["HEALTH_MISSED_WEBHOOK_MINUTES"],
)
HEALTH_WEBHOOK_LAG_SECONDS = env.integer(
    "HEALTH_WEBHOOK_LAG_SECONDS",
    default=DEFAULTS["HEALTH_WEBHOOK_LAG_SECONDS"],
    **LIMITS["HEALTH_WEBHOOK_LAG_SECONDS"],
)
# prometheus-client reads the environment itself and does not check the folder.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
if _series := env.folder("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _series
HEALTH_KEYS_STALE_SECONDS = env.integer(
    "HEALTH_KEYS_STALE_SECONDS",
    default=DEFAULTS["HEALTH_KEYS_STALE_SECONDS"],
    **LIMITS["HEALTH_KEYS_STALE_SECONDS"],
)

# API
_ERROR_STATUSES = ["400", "401", "403", "404", "405", "415", "429", "500", "503"]
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ClerkAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.negotiation.ContentNegotiation",
    "DEFAULT_PAGINATION_CLASS": "api.pagination.PageNumberPagination",
    "DEFAULT_SCHEMA_CLASS": "api.schema.AutoSchema",
    # An answer to OPTIONS would describe the implementation; CORS preflights end in the middleware.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "URL_FORMAT_OVERRIDE": None,
}
DRF_STANDARDIZED_ERRORS: dict[str, Any] = {
    "EXCEPTION_HANDLER_CLASS": "accounts.errors.ExceptionHandler",
    # The error envelope is the contract in debug too.
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
    "ALLOWED_ERROR_STATUS_CODES": _ERROR_STATUSES,
    "ERROR_SCHEMAS": dict.fromkeys(_ERROR_STATUSES, "api.schema.ErrorResponseSerializer"),
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "django-clerk-sync",
    "DESCRIPTION": "Users who sign in with Clerk, as local users.",
    "VERSION": VERSION,
    # 3.1 copies `nullable`, which typed clients then reject.
    "OAS_VERSION": "3.0.3",
    "SCHEMA_PATH_PREFIX": r"/api/v[0-9]+",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {"ErrorTypeEnum": "api.schema.ERROR_TYPES"},
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # `nullable` says it; a component for null would be a type of its own in the client.
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # No validator: it would send the schema to a third party.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "tryItOutEnabled": True, "validatorUrl": None},
}

env.reject_unread_files()
ENV_PROBLEMS = tuple(env.problems)
