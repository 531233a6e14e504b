"""A hundred texts that would do something on a careless page."""

PAYLOADS = tuple(
    template.replace("CODE", f"window.attacked={number}")
    for number, template in enumerate(
        outer.replace("INNER", inner)
        for outer in (
            "INNER",
            "\"'>INNER",
            "$\\text{INNER}$",
            "```python\nINNER\n```",
            "</textarea></title></style></script>INNER",
        )
        for inner in (
            "<script>CODE</script>",
            "<img src=x onerror=CODE>",
            "<svg onload=CODE>",
            "<svg><script>CODE</script></svg>",
            "<iframe srcdoc='<script>parent.CODE</script>'></iframe>",
            "<a href='javascript:CODE' autofocus onfocus=CODE>x</a>",
            "<details open ontoggle=CODE>x</details>",
            "<body onload=CODE>",
            "<form action=javascript:CODE><button>x</button></form>",
            "<input autofocus onfocus=CODE>",
            "<video><source onerror=CODE></video>",
            "<math><mtext><table><mglyph><style><img src=x onerror=CODE>",
            "<style>@import 'https://evil.example/x.css'; body{display:none}</style>",
            "<link rel=stylesheet href=https://evil.example/x.css>",
            "<meta http-equiv=refresh content='0;url=javascript:CODE'>",
            "<base href=https://evil.example/>",
            "<object data='data:text/html,<script>CODE</script>'></object>",
            "$\\href{javascript:CODE}{x}$ $\\url{javascript:CODE}$ $\\htmlData{x=y}{z}$",
            "\\(\\includegraphics{https://evil.example/x.png}\\) {{ config }} {% raw %}",
            "\u202e<scr\u0000ipt>CODE</scr\u0000ipt>\u2028\u00ad<x onclick=CODE>",
        )
    )
)
ACTIVE = (
    "script:not([src^='/static/']), iframe, object, embed, svg script, base, form[action^='javascript'], "
    "a[href^='javascript'], link:not([href^='/static/']), style, meta[http-equiv], img:not([src^='/static/']), "
    "[onerror], [onload], [onfocus], [ontoggle], [onclick]"
)
"""What none of them may become."""
