"""component.xml of a network's IP: IP-XACT, IEEE 1685-2009, in the form that Vivado's packager writes."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from bireal_hw import __version__
from bireal_hw.ir.graph import Graph
from bireal_hw.passes import describe
from bireal_hw.zynq.ports import Interface, Shape, interfaces
from bireal_hw.zynq.registers import ADDRESS_BITS, Register, offset, registers

VENDOR, LIBRARY, NAME, VERSION = "bireal", "rtl", "bireal_ip", "1.0"
SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
XILINX = "http://www.xilinx.com"
FAMILIES = ("zynq", "zynquplus")
FILES = "sources"
VIEWS = {"xilinx_anylanguagesynthesis": "synthesis", "xilinx_anylanguagebehavioralsimulation": "simulation"}
TYPES = {".v": "verilogSource", ".sv": "systemVerilogSource"}
SIGNALS = ("clock", "reset", "interrupt")
ACCESS = {"clear": "read-write"}
"""What IP-XACT calls an access; others have the same name there."""
LEGACY = "oneToClear"
"""What writing to a register of access `clear` does."""


class _Element:
    """A node of the tree; `add` appends a child of the namespace `spirit` and returns it."""

    def __init__(self, node: ElementTree.Element) -> None:
        self.node = node

    def add(self, name: str, text: object = None, space: str = SPIRIT, /, **attributes: object) -> _Element:
        names = {f"{{{space}}}{key}": str(value) for key, value in attributes.items()}
        child = ElementTree.SubElement(self.node, f"{{{space}}}{name}", names)
        if text is not None:
            child.text = str(text)
        return _Element(child)


def component(graph: Graph, made: Shape, files: Iterable[str]) -> bytes:
    """Return component.xml.

    Args:
        graph: the network.
        made: its shape.
        files: of the IP, in compile order, relative to its folder.
    """
    ElementTree.register_namespace("spirit", SPIRIT)
    ElementTree.register_namespace("xilinx", XILINX)
    root = _Element(ElementTree.Element(f"{{{SPIRIT}}}component"))
    for name, text in (("vendor", VENDOR), ("library", LIBRARY), ("name", NAME), ("version", VERSION)):
        root.add(name, text)
    ports = interfaces(made)
    buses = root.add("busInterfaces")
    for one in ports:
        _bus(buses, one)
    if made.memories:
        spaces = root.add("addressSpaces")
        for port in made.memories:
            space = spaces.add("addressSpace")
            space.add("name", port.name)
            space.add("range", 1 << port.address_width, format="long")
            space.add("width", port.data_width, format="long")
    _registers(root.add("memoryMaps").add("memoryMap"), registers(bool(made.memories)))
    _model(root.add("model"), ports)
    listed = root.add("fileSets").add("fileSet")
    listed.add("name", FILES)
    for name in files:
        _file(listed, name)
    root.add("description", f"{graph.name}: {'; '.join(describe.facts(graph))}; by bireal_hw {__version__}")
    parameters = root.add("parameters")
    _parameter(parameters, "Component_Name", NAME, "PARAM_VALUE")
    # In the design's description too, where the driver finds it without asking the hardware.
    _parameter(parameters, "IDENTITY", made.identity, "PARAM_VALUE")
    core = root.add("vendorExtensions").add("coreExtensions", None, XILINX)
    families = core.add("supportedFamilies", None, XILINX)
    for family in FAMILIES:
        families.add("family", family, XILINX, lifeCycle="Production")
    core.add("taxonomies", None, XILINX).add("taxonomy", "/UserIP", XILINX)
    core.add("displayName", f"bireal_hw network {graph.name}", XILINX)
    core.add("coreRevision", 1, XILINX)
    ElementTree.indent(root.node)
    written: bytes = ElementTree.tostring(root.node, "UTF-8", xml_declaration=True)
    return written + b"\n"


def _bus(parent: _Element, one: Interface) -> None:
    library = "signal" if one.kind in SIGNALS else "interface"
    about = {"vendor": "xilinx.com", "library": library, "version": "1.0"}
    bus = parent.add("busInterface")
    bus.add("name", one.name)
    bus.add("busType", **about, name=one.kind)
    bus.add("abstractionType", **about, name=f"{one.kind}_rtl")
    mode = bus.add(one.mode)
    if (one.kind, one.mode) == ("aximm", "slave"):
        mode.add("memoryMapRef", memoryMapRef=one.name)
    if (one.kind, one.mode) == ("aximm", "master"):
        mode.add("addressSpaceRef", addressSpaceRef=one.name)
    maps = bus.add("portMaps")
    for signal in one.signals:
        pair = maps.add("portMap")
        pair.add("logicalPort").add("name", signal.logical)
        pair.add("physicalPort").add("name", one.port(signal))
    if one.parameters:
        parameters = bus.add("parameters")
        for name, value in one.parameters:
            _parameter(parameters, name, value, f"BUSIFPARAM_VALUE.{one.name.upper()}")


def _parameter(parent: _Element, name: str, value: str, prefix: str) -> None:
    parameter = parent.add("parameter")
    parameter.add("name", name)
    parameter.add("value", value, id=f"{prefix}.{name}")


def _registers(parent: _Element, listed: Iterable[Register]) -> None:
    parent.add("name", "s_axi_control")
    block = parent.add("addressBlock")
    block.add("name", "registers")
    block.add("baseAddress", 0, format="long")
    block.add("range", 1 << max(12, ADDRESS_BITS), format="long")  # a processor maps 4 KB at least
    block.add("width", 32, format="long")
    block.add("usage", "register")
    for one in listed:
        _register(block.add("register"), one)


def _register(parent: _Element, one: Register) -> None:
    access = ACCESS.get(one.access, one.access)
    parent.add("name", one.name)
    if one.text:
        parent.add("description", one.text)
    parent.add("addressOffset", f"0x{offset(one.name):x}")
    parent.add("size", 32, format="long")
    parent.add("access", access)
    for part in one.fields:
        field = parent.add("field")
        field.add("name", part.name)
        field.add("description", part.text)
        field.add("bitOffset", part.bit)
        field.add("bitWidth", part.width, format="long")
        field.add("access", access)
        if one.access == "clear":
            field.add("modifiedWriteValue", LEGACY)


def _model(parent: _Element, ports: Iterable[Interface]) -> None:
    views = parent.add("views")
    for name, purpose in VIEWS.items():
        view = views.add("view")
        view.add("name", name)
        view.add("envIdentifier", f":vivado.xilinx.com:{purpose}")
        view.add("language", "Verilog")
        view.add("modelName", NAME)
        view.add("fileSetRef").add("localName", FILES)
    listed = parent.add("ports")
    for one in ports:
        for signal in one.signals:
            port = listed.add("port")
            port.add("name", one.port(signal))
            wire = port.add("wire")
            wire.add("direction", signal.direction)
            if signal.width is not None:
                vector = wire.add("vector")
                vector.add("left", signal.width - 1, format="long")
                vector.add("right", 0, format="long")
            kind = wire.add("wireTypeDefs").add("wireTypeDef")
            kind.add("typeName", "wire")
            for name in VIEWS:
                kind.add("viewNameRef", name)


def _file(listed: _Element, name: str) -> None:
    file = listed.add("file")
    file.add("name", name)
    suffix = name[name.rindex(".") :]
    if suffix in TYPES:
        file.add("fileType", TYPES[suffix])
    else:
        file.add("userFileType", suffix[1:])
