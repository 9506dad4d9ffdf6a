"""The browser wizard *Create SaaS environment*: server-rendered pages that work without JavaScript."""
