"""How links, store and views are joined, one module for each part of the window; `app.application` makes them all.

links --signals--> store --signals--> views            views --intents--> here --calls--> links
"""
