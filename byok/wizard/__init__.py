"""The browser wizard *Create SaaS environment*: pages made on the server, which work without JavaScript."""
