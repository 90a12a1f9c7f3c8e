"""What students could write where the teacher's page and their own show it."""

TEXTS = {
    "script": "<script>window.owned = 1</script>",
    "end of the data": "</script><script>window.owned = 1</script><!--<script>",
    "handler": '"><img src=x onerror="window.owned = 1"> \' onfocus=window.owned=1 autofocus x=\'',
    "svg": "<svg onload='window.owned = 1'><animate onbegin=window.owned=1 attributeName=x dur=1s></svg>",
    "frame": "<iframe srcdoc='<script>parent.owned = 1</script>'></iframe><object data=http://evil.invalid/>",
    "style": "<style>* { display: none } @import url(http://evil.invalid/a.css)</style></style>",
    "link": "<a href='http://evil.invalid/'>here</a> [here](javascript:window.owned=1) <base href=http://evil.invalid>",
    "image": "![x](http://evil.invalid/x.png) <img src=//evil.invalid/x.png> <meta http-equiv=refresh content='0;http://evil.invalid'>",
    "form": "</textarea></pre></details></div><form action=http://evil.invalid><button>Save the table</button>",
    "address": "javascript:window.owned=1",
    "entity": "&lt;script&gt; &#60;b&#62; &amp;",
    "surrogate": "a\ud800b",
    "controls": "a\x00\x07\x1b[31m\x7f\x9bb\r\nc",
    "direction": "grade\u202e\u2066gpj.exe\u200b\ufeff",
    "accents": "a" + "\u0301" * 3000,
    "line": "x" * 20_000 + " " + "<b>" * 5000,
    "template": "${window.owned = 1} {{7*7}} `x` {% raw %} %s \\u003cscript\\u003e",
    "formula": '=HYPERLINK("http://evil.invalid","x")',
    "formula behind": 'x;=1+1;"@SUM(A1)\t-2',
    "separators": 'a,b;c\t"d"\u2028e\n"=1\r\n+1',
}

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "＋1", "－1", "＠x", "\u200b=1", "\u3000=1",
    "a;=1", "a; =1", "a\t=1", "=cmd|' /C calc'!A0", "a|=1",
    'a;"=1+1"', 'a; "=1+1"', '"=1', '""=1', 'a\t"=1', "a;'=1",
]  # fmt: skip
