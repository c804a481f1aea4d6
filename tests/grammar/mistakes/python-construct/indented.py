# ruff: noqa
class Holder:
    # in a class
    def spec():
        x = 1
        while x: pass


spec = Holder.spec
