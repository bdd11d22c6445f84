"""plugins/nmea/sentence.py: where somebody is, and the fields that newer versions of NMEA 0183 have."""

from __future__ import annotations

import json

import pytest

from hubbub.limits import PROPERTIES
from nmea_help import read, summed


def place(sentence):
    """Latitude and longitude of a sentence, the same as properties and in JSON."""
    properties = read(sentence).properties
    found = json.loads(read(sentence, format="json").payload)
    names = ("latitude", "longitude")
    assert [properties.get(name) for name in names] == [str(found[name]) if name in found else None for name in names]
    return tuple(found.get(name) for name in names)


HERE = "4916.45,N,12311.12,W"
DEGREES = (49.2741667, -123.1853333)
WITH = {
    "GGA": f"GPGGA,184353.07,{HERE},1,04,2.6,100.00,M,-33.9,M,,0000",
    "GGA, differential": f"GPGGA,184353.07,{HERE},2,04,2.6,100.00,M,-33.9,M,,0000",
    "GGA, dead reckoning": f"GPGGA,184353.07,{HERE},6,04,2.6,100.00,M,-33.9,M,,0000",
    "GLL": f"GPGLL,{HERE},225444,A",
    "GLL of 2.3": f"GPGLL,{HERE},225444,A,D",
    "GLL of 1.5": f"GPGLL,{HERE}",
    "GNS": f"GNGNS,122310.2,{HERE},AN,07,0.9,1005.543,6.5,,",
    "GNS, only GLONASS": f"GNGNS,122310.2,{HERE},NA,07,0.9,1005.543,6.5,,",
    "RMC": f"GPRMC,081836,A,{HERE},000.0,360.0,130998,011.3,E",
    "RMC of 4.10": f"GNRMC,081836,A,{HERE},000.0,360.0,130998,,,A,V",
    "RMA": f"GPRMA,A,{HERE},,,12.0,083.4,011.3,E",
    "RMB": f"GPRMB,A,0.66,L,003,004,{HERE},001.3,052.5,000.5,V",
    "WPL": f"GPWPL,{HERE},003",
    "BEC": f"GPBEC,220516,{HERE},213.8,T,218.0,M,0004.6,N,EGLM",
    "BWC": f"GPBWC,220516,{HERE},213.8,T,218.0,M,0004.6,N,EGLM",
    "BWR": f"GPBWR,220516,{HERE},213.8,T,218.0,M,0004.6,N,EGLM,A",
    "TRF": f"GPTRF,220516,130998,{HERE},10,3,3,1.0,5",
    "TLL": f"RATLL,01,{HERE},BUOY,220516,T,R",
    "GXA, which pynmea2 doesn't know": f"GPGXA,220516,{HERE},EGLM,1",
    "MOB, neither": f"GPMOB,12345,A,220516,0,130998,220516,{HERE},1.0,2.0,123456789,1",
    "u-blox": f"PUBX,00,081350.00,{HERE},546.589,G3,2.1,2.0,0.007,77.52,0.007,,0.92,1.19,0.77,9,0,0",
    "Garmin": f"PGRMF,455,183730,141105,183717,13,{HERE},A,2,0,63,2,1",
    "Ashtech": f"PASHR,POS,0,10,125410.00,{HERE},00048.2,,000.0,000.0,-00.0,02.5,01.5,02.0,01.4,X000",
    "Trimble": f"PTNL,GGK,102939.00,051910,{HERE},5,09,1.9,EHT150.790,M",
    "a talker P": f"PGGA,184353.07,{HERE},1,04,2.6,100.00,M,-33.9,M,,0000",
}
WITHOUT = {
    "GGA, quality 0": f"GPGGA,184353.07,{HERE},0,00,,,M,,M,,",
    "GGA, no quality": f"GPGGA,184353.07,{HERE},,00,,,M,,M,,",
    "GLL, status V": f"GPGLL,{HERE},225444,V",
    "GLL, mode N": f"GPGLL,{HERE},225444,A,N",
    "GNS, mode N": f"GNGNS,122310.2,{HERE},N,07,0.9,1005.543,6.5,,",
    "GNS, mode NNNN": f"GNGNS,122310.2,{HERE},NNNN,07,0.9,1005.543,6.5,,",
    "RMC, status V": f"GPRMC,081836,V,{HERE},000.0,360.0,130998,011.3,E",
    "RMC, mode N": f"GPRMC,081836,A,{HERE},000.0,360.0,130998,011.3,E,N",
    "RMA, status V": f"GPRMA,V,{HERE},,,12.0,083.4,011.3,E",
    "u-blox, NF": f"PUBX,00,081350.00,{HERE},546.589,NF,2.1,2.0,0.007,77.52,0.007,,0.92,1.19,0.77,9,0,0",
    "Garmin, no fix": f"PGRMF,455,183730,141105,183717,13,{HERE},A,0,0,63,2,1",
    "a talker P, quality 0": f"PGGA,184353.07,{HERE},0,00,,,M,,M,,",
    "DTM, which says how far off": "GPDTM,999,CH95,0000.08,N,00000.07,E,-47.7,W84",
    "HDG": "HCHDG,98.3,0.0,E,12.6,W",
}


@pytest.mark.parametrize("body", WITH.values(), ids=WITH)
def test_where_it_is(body):
    assert place(summed(body)) == DEGREES


@pytest.mark.parametrize("body", WITHOUT.values(), ids=WITHOUT)
def test_no_place_without_a_fix(body):
    assert place(summed(body)) == (None, None)


PLACES = {
    "1929.045,S,02410.506,E": (-19.4840833, 24.1751),
    "1929,S,02410,E": (-19.4833333, 24.1666667),
    "1929.,S,02410.,E": (-19.4833333, 24.1666667),
    "929.045,N,2410.506,E": (9.4840833, 24.1751),
    "0000.0000,N,00000.0000,E": (0.0, 0.0),
    "9000.0,S,18000.0,W": (-90.0, -180.0),
    "1929.045,s,02410.506,e": (-19.4840833, 24.1751),
    "1929.04512345,S,02410.50612345,E": (-19.4840854, 24.1751021),
    ",,,": (None, None),
    ",N,,E": (None, None),
    "1929.045,S,,": (None, None),
    "1929.045,,02410.506,": (None, None),
    "19,S,24,E": (None, None),
    "1929.045,X,02410.506,E": (None, None),
    "a,N,b,E": (None, None),
    "1960.0,N,02410.506,E": (None, None),
    "1929.045,N,02460.0,E": (None, None),
    "9000.1,N,02410.506,E": (None, None),
    "1929.045,N,18000.1,E": (None, None),
    "-1929.045,N,02410.506,E": (None, None),
    "1e29.045,N,02410.506,E": (None, None),
    "19.2904,N,24.105,E": (None, None),
}


@pytest.mark.parametrize(("written", "wanted"), PLACES.items())
def test_how_places_are_written(written, wanted):
    assert place(summed(f"GPGGA,184353.07,{written},1,04,,,M,,M,,")) == wanted


# Fields of newer versions

SATELLITE = {"sv_prn_num": "06", "elevation_deg": "16", "azimuth": "299", "snr": "45"}


@pytest.mark.parametrize("satellites", range(5))
@pytest.mark.parametrize("signal", ["", "7"])
def test_gsv_has_satellites_and_then_the_signal(satellites, signal):
    fields = ["2", "1", "08", *[*SATELLITE.values()] * satellites, *signal]
    wanted = {"num_messages": "2", "msg_num": "1", "num_sv_in_view": "08"}
    wanted |= {f"{name}_{number + 1}": value for number in range(satellites) for name, value in SATELLITE.items()}
    wanted |= {"signal_id": signal} if signal else {}
    sentence = summed(f"GPGSV,{','.join(fields)}")
    said = {"talker": "GP", "sentence": "GSV"}
    assert read(sentence).properties == wanted | said
    assert json.loads(read(sentence, format="json").payload) == wanted | said


NEWER = {
    "GNGSA,A,3,01,02,,,,,,,,,,,1.0,0.8,0.6,3": {"vdop": "0.6", "system_id": "3"},
    f"GNGNS,122310.2,{HERE},AA,07,0.9,1005.5,6.5,,,V": {"diferential": None, "nav_status": "V"},
    "GNGBS,082143,1.2,0.5,0.9,,,,,2,5": {"system_id": "2", "signal_id": "5"},
    f"GPRMB,A,0.66,L,003,004,{HERE},001.3,052.5,000.5,V,D": {"arrival_alarm": "V", "faa_mode": "D"},
    f"GPBWC,220516,{HERE},213.8,T,218.0,M,0004.6,N,EGLM,A": {"waypoint_name": "EGLM", "faa_mode": "A"},
}


@pytest.mark.parametrize(("body", "wanted"), NEWER.items())
def test_fields_of_newer_versions_have_names(body, wanted):
    event = read(summed(body))
    assert {name: event.properties.get(name) for name in wanted} == wanted
    assert "data" not in json.loads(read(summed(body), format="json").payload)


def test_xdr_has_all_its_transducers():
    body = "IIXDR,C,19.52,C,TempAir,P,1.02481,B,Barometer,A,-3.2,D,PTCH,X,1"
    wanted = {"type": "C", "value": "19.52", "units": "C", "id": "TempAir"}
    wanted |= {"type_2": "P", "value_2": "1.02481", "units_2": "B", "id_2": "Barometer"}
    wanted |= {"type_3": "A", "value_3": "-3.2", "units_3": "D", "id_3": "PTCH"}
    wanted |= {"talker": "II", "sentence": "XDR"}
    assert read(summed(body)).properties == wanted
    assert json.loads(read(summed(body), format="json").payload) == wanted | {"data": ["X", "1"]}
    assert read(summed("IIXDR,C,19.52,C,TempAir")).properties["id"] == "TempAir"


def test_a_message_has_only_so_many_properties():
    body = "IIXDR" + ",C,1,C,T" * 30
    assert len(read(summed(body)).properties) == PROPERTIES
    assert read(summed(body)).properties["talker"] == "II"
    assert len(json.loads(read(summed(body), format="json").payload)) == 122
